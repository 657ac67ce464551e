import { describe, expect, test } from "vitest";
import { startGateway } from "../support/gateway.ts";
import { waitFor } from "../support/quiescence.ts";
import { openRawSession } from "../support/raw-client.ts";
import {
  BACKENDS,
  backendSessionOf,
  callText,
  lastMessageOf,
  messageOn,
  messagesOn,
  methodsOn,
  requestOn,
  toolCall,
} from "./protocol-backends.ts";

describe.each(BACKENDS)("with a backend over %s", (_transport, startBackend) => {
  // [spec:progress-2] [spec:progress-3] [spec:progress-6] [spec:transport-23]
  test("two clients with the same token each get their own progress, in its order, and nothing else [B2]", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const alice = await openRawSession(gateway.url);
    const bob = await openRawSession(gateway.url);

    const [toAlice, toBob] = await Promise.all([
      alice.post(toolCall(1, "slow", { ms: 90, steps: 3 }, "same")),
      bob.post(toolCall(1, "slow", { ms: 100, steps: 5 }, "same")),
    ]);

    expect(messagesOn(toAlice)).toMatchObject([...progressOf("same", 3), { id: 1, result: {} }]);
    expect(messagesOn(toBob)).toMatchObject([...progressOf("same", 5), { id: 1, result: {} }]);
  });

  // [spec:progress-1]
  test.for(["text", 7, 0])(
    "the token %s reaches the backend and comes back as it was",
    async (token) => {
      await using backend = await startBackend();
      await using gateway = await startGateway({ backends: [backend.entry()] });
      const session = await openRawSession(gateway.url);

      const answer = await session.post(toolCall(1, "slow", { ms: 10, steps: 1 }, token));

      expect(messagesOn(answer)).toMatchObject([...progressOf(token, 1), { id: 1 }]);
    },
  );

  // [spec:transport-31]
  test("two calls of one session each get their progress on their own stream [B2]", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);
    const stream = await session.openStream();

    const [first, second] = await Promise.all([
      session.post(toolCall(1, "slow", { ms: 90, steps: 3 }, "one")),
      session.post(toolCall(2, "slow", { ms: 100, steps: 2 }, "two")),
    ]);

    expect(messagesOn(first)).toMatchObject([...progressOf("one", 3), { id: 1 }]);
    expect(messagesOn(second)).toMatchObject([...progressOf("two", 2), { id: 2 }]);
    expect(messagesOn(stream)).toEqual([]);
    stream.destroy();
  });

  // [spec:progress-4]
  test("progress for a token that the call did not give reaches nobody [B2]", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);
    const stream = await session.openStream();
    const params = { progressToken: "not-mine", progress: 1 };

    const answer = await session.post(
      toolCall(1, "emit", { method: "notifications/progress", params }, "mine"),
    );

    expect(await lastMessageOf(answer)).toMatchObject({ id: 1, result: {} });
    expect([...methodsOn(answer), ...methodsOn(stream)]).not.toContain("notifications/progress");
    stream.destroy();
  });

  // [spec:progress-5]
  test("progress that comes after the answer reaches nobody", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);
    const stream = await session.openStream();
    await backend.canSpeakTo(1);
    await session.post(toolCall(1, "slow", { ms: 10, steps: 1 }, "over"));

    backend.backend.notify("notifications/progress", { progressToken: "over", progress: 2 });
    backend.backend.notify("notifications/message", { level: "error", data: "behind it" });

    await waitFor(() => methodsOn(stream).includes("notifications/message"));
    expect(methodsOn(stream)).toEqual(["notifications/message"]);
    stream.destroy();
  });

  // [spec:cancel-1] [spec:cancel-3] [spec:transport-26]
  test("a cancelled call is cancelled at the backend, and ends without an answer [B3]", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);
    const call = session.startPost(toolCall("to-cancel", "hang"));
    await waitFor(() => backend.backend.ledger.calls.length === 1);

    await session.post(cancelled("to-cancel", "changed my mind"));

    await waitFor(() => backend.backend.ledger.cancellations.length === 1);
    expect(backend.backend.ledger.cancellations).toMatchObject([
      { reason: "changed my mind", wasInFlight: true },
    ]);
    const reply = await call;
    await reply.ended;
    expect(reply.events).toEqual([]);
  });

  // [spec:cancel-4] [spec:cancel-5]
  test("an answer that comes after the cancellation is dropped, and the session goes on [B3]", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);
    const stream = await session.openStream();
    const late = session.startPost(toolCall(1, "slow", { ms: 100, stubborn: true }));
    await waitFor(() => backend.backend.ledger.calls.length === 1);

    await session.post(cancelled(1, "too slow"));
    const next = await session.post(toolCall(2, "slow", { ms: 300 }));

    const reply = await late;
    await reply.ended;
    expect(reply.events).toEqual([]);
    expect(messagesOn(stream)).toEqual([]);
    expect(await lastMessageOf(next)).toMatchObject({ id: 2, result: {} });
    stream.destroy();
  });

  // [spec:cancel-7] [spec:cancel-5]
  test.for([
    ["of an unknown request", { requestId: 404, reason: "no such" }],
    ["of an answered request", { requestId: 1 }],
    ["without a request", { reason: "no id" }],
    ["of a request that is no id", { requestId: { nested: true } }],
  ] as const)("a cancellation %s is taken and does nothing", async ([, params]) => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);
    await session.post(toolCall(1, "count"));

    const taken = await session.post({ jsonrpc: "2.0", method: "notifications/cancelled", params });

    expect([taken.status, taken.text]).toEqual([202, ""]);
    expect(await callText(session, "count")).toBe("2");
    expect(backend.backend.ledger.cancellations).toEqual([]);
  });

  // [spec:cancel-1]
  test("one session cannot cancel another's call [B3]", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const alice = await openRawSession(gateway.url);
    const bob = await openRawSession(gateway.url);
    const call = alice.post(toolCall(5, "slow", { ms: 200 }));
    await waitFor(() => backend.backend.ledger.calls.length === 1);

    await bob.post(cancelled(5, "not mine"));

    expect(await lastMessageOf(await call)).toMatchObject({ id: 5, result: {} });
    expect(backend.backend.ledger.cancellations).toEqual([]);
  });

  // [spec:cancel-1]
  test("a backend that cancels its own request is heard by the client under the id that it knows [B3]", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url, { capabilities: { sampling: {} } });
    const stream = await session.openStream();
    await backend.canSpeakTo(1);
    const own = await backendSessionOf(backend, session);
    const asking = backend.backend.request(own, "sampling/createMessage", { maxTokens: 1 });
    const request = await requestOn([stream], "sampling/createMessage");

    backend.backend.notify("notifications/cancelled", { requestId: 1, reason: "no need" });

    const heard = await messageOn(
      [stream],
      (message) => message["method"] === "notifications/cancelled",
    );
    expect(heard["params"]).toEqual({ requestId: request.id, reason: "no need" });
    // An answer that comes all the same is for nobody.
    const before = backend.backend.ledger.messages.length;
    await session.post({ jsonrpc: "2.0", id: request.id, result: {} });
    await callText(session, "count");
    const since = backend.backend.ledger.messages.slice(before);
    // The gateway looks at its backends on its own, in sessions of its own.
    const heardSince = since.filter((message) => message.session === own.tag);
    expect(heardSince.map(({ method }) => method)).toEqual(["tools/call"]);
    stream.destroy();
    void asking;
  });

  // [spec:cancel-7]
  test("a backend's cancellation of what it never asked reaches nobody", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url, { capabilities: { sampling: {} } });

    const answer = await session.post(
      toolCall(1, "emit", { method: "notifications/cancelled", params: { requestId: 1 } }),
    );

    expect(messagesOn(answer)).toEqual([]);
    expect(JSON.parse(answer.text)).toMatchObject({ id: 1, result: {} });
  });
});

function progressOf(progressToken: string | number, total: number): readonly object[] {
  return Array.from({ length: total }, (_step, index) => ({
    method: "notifications/progress",
    params: { progressToken, progress: index + 1, total },
  }));
}

function cancelled(
  requestId: string | number,
  reason: string,
): { jsonrpc: string; method: string; params: { requestId: string | number; reason: string } } {
  return { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId, reason } };
}
