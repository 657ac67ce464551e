import { describe, expect, test } from "vitest";
import { startGateway } from "../support/gateway.ts";
import { waitFor } from "../support/quiescence.ts";
import {
  postStateless,
  resultOf,
  startStateless,
  statelessHeaders,
  statelessMessage,
} from "../support/stateless-client.ts";
import { BACKENDS, messagesOn } from "./protocol-backends.ts";

describe.each(BACKENDS)("in front of a sessionful backend over %s", (_transport, startBackend) => {
  test("two clients with the same id and token each get their own progress and answer [B2] [B17]", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const slow = (steps: number) =>
      statelessMessage(
        "same",
        "tools/call",
        { name: "slow", arguments: { ms: 60, steps } },
        { meta: { progressToken: "token" } },
      );

    const [first, second] = await Promise.all([
      postStateless(gateway.url, slow(3)),
      postStateless(gateway.url, slow(5)),
    ]);

    expect(messagesOn(first)).toMatchObject([...progressOf(3), { id: "same", result: {} }]);
    expect(messagesOn(second)).toMatchObject([...progressOf(5), { id: "same", result: {} }]);
    expect(backend.backend.sessions).toHaveLength(1);
  });

  test.for([
    [undefined, []],
    ["warning", ["error"]],
    ["debug", ["debug", "error"]],
  ] as const)(
    "a request that wants logs from %s on gets those and no other [B4] [B17]",
    async ([logLevel, expected]) => {
      await using backend = await startBackend();
      await using gateway = await startGateway({ backends: [backend.entry()] });
      const emit = async (level: string): Promise<unknown> => {
        const params = { method: "notifications/message", params: { level, data: "x" } };
        const call = { name: "emit", arguments: params };
        const options = logLevel === undefined ? {} : { logLevel };
        const message = statelessMessage(1, "tools/call", call, options);
        return messagesOnAny(await postStateless(gateway.url, message));
      };

      const heard = [await emit("debug"), await emit("error")];

      expect(heard.flat()).toEqual(
        expected.map((level) => expect.objectContaining({ params: { level, data: "x" } })),
      );
    },
  );

  test("closing the stream cancels the call at its backend within a quarter of a second [B3] [B17] [F20]", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const call = statelessMessage(
      1,
      "tools/call",
      { name: "slow", arguments: { ms: 60_000, steps: 60_000 } },
      { meta: { progressToken: 1 } },
    );
    const answer = await startStateless(gateway.url, call);
    await waitFor(() => answer.events.length > 0);

    answer.destroy();

    await waitFor(() => backend.backend.ledger.cancellations.length === 1);
    expect(gateway.vmcp.sessions.liveSessions()[0]?.isBusy).toBe(false);
    await answer.ended.catch(() => {});
  });

  test("a client that goes away before its answer began cancels its call too [F19]", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    await resultOf(gateway.url, "server/discover");
    const message = statelessMessage(1, "tools/call", { name: "hang", arguments: {} });
    const leaving = new AbortController();
    const answer = fetch(gateway.url, {
      method: "POST",
      headers: statelessHeaders(message),
      body: JSON.stringify(message),
      signal: leaving.signal,
    });
    await waitFor(() => backend.backend.ledger.calls.length === 1);

    leaving.abort();

    await expect(answer).rejects.toThrow("aborted");
    await waitFor(() => backend.backend.ledger.cancellations.length === 1);
  });
});

function progressOf(steps: number): readonly object[] {
  return Array.from({ length: steps }, (_value, index) => ({
    method: "notifications/progress",
    params: { progressToken: "token", progress: index + 1, total: steps },
  }));
}

function messagesOnAny(answer: Awaited<ReturnType<typeof postStateless>>): readonly object[] {
  return messagesOn(answer).filter((message) => "method" in message);
}
