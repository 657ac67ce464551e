import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/domain/json.ts";
import type { LogFields, Logger } from "../../src/domain/logger.ts";
import { startGateway } from "../support/gateway.ts";
import { waitFor } from "../support/quiescence.ts";
import { lastMessage, openRawSession } from "../support/raw-client.ts";
import {
  answerText,
  backendSessionOf,
  BACKENDS,
  messageOn,
  requestOn,
  startHttp,
  toolCall,
} from "./protocol-backends.ts";

describe.each(BACKENDS)("with a backend over %s", (_transport, startBackend) => {
  // [spec:tools-8]
  test.for<[string, string]>([
    ["no schema", '{"name":"odd"}'],
    ["null", '{"name":"odd","inputSchema":null}'],
    ["a truth value", '{"name":"odd","inputSchema":true}'],
    ["an empty object", '{"name":"odd","inputSchema":{}}'],
  ])(
    "a tool with %s for its input is listed as its backend wrote it, and works",
    async ([, tool]) => {
      await using backend = await startBackend({
        tools: [tool],
        results: new Map([["odd", '{"content":[{"type":"text","text":"done"}]}']]),
      });
      await using gateway = await startGateway({ backends: [backend.entry()] });
      const session = await openRawSession(gateway.url);

      const listed = await session.post({ jsonrpc: "2.0", id: 1, method: "tools/list" });
      const answer = await session.post(toolCall(2, "odd"));

      expect(listed.text).toContain(tool);
      expect(answerText(lastMessage(answer))).toBe("done");
    },
  );

  // [spec:resources-3]
  test.for(["resources/read", "resources/subscribe"])(
    "%s of an unknown resource is answered by -32602, like any other unknown name",
    async (method) => {
      await using one = await startBackend({ resources: ['{"uri":"one://a","name":"a"}'] });
      await using two = await startHttp({ resources: ['{"uri":"two://a","name":"a"}'] });
      await using gateway = await startGateway({ backends: [one.entry("one"), two.entry("two")] });
      const session = await openRawSession(gateway.url);

      const answer = await session.request(method, { uri: "one://unknown" });

      expect(answer).toMatchObject({
        error: { code: -32_602, message: expect.stringContaining("one://unknown") },
      });
    },
  );

  // [spec:sampling-3]
  test.for<[string, JsonObject, boolean]>([
    ["is not asked of a client that never offered it", {}, false],
    ["is asked of a client that offered it", { context: {} }, true],
  ])("context for a prompt %s", async ([, sampling, isAsked]) => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url, { capabilities: { sampling } });
    const params = { messages: [], maxTokens: 1, includeContext: "allServers" };

    const call = await session.startPost(
      toolCall(1, "ask", { method: "sampling/createMessage", params }),
    );
    const request = await requestOn([call], "sampling/createMessage");
    await session.post({ jsonrpc: "2.0", id: request.id, result: { role: "assistant" } });
    await call.ended;

    const { includeContext, ...rest } = params;
    expect(request["params"]).toEqual(isAsked ? { ...rest, includeContext } : rest);
    expect(JSON.parse(answerText(lastMessage(call)))).toMatchObject({
      result: { role: "assistant" },
    });
  });

  // [spec:cancel-6]
  test("the reasons of cancellations are in the log, cut where they are long", async () => {
    const lines: [string, LogFields | undefined][] = [];
    await using backend = await startBackend();
    await using gateway = await startGateway(
      { backends: [backend.entry()] },
      { logger: recordingLogger(lines) },
    );
    const session = await openRawSession(gateway.url, { capabilities: { roots: {} } });
    const stream = await session.openStream();
    await backend.canSpeakTo(1);
    const own = await backendSessionOf(backend, session);

    const call = session.startPost(toolCall("to-cancel", "hang"));
    await waitFor(() => backend.backend.ledger.calls.length === 2);
    await session.post(cancelled("to-cancel", "x".repeat(10_000)));
    await waitFor(() => backend.backend.ledger.cancellations.length === 1);
    await call;
    const asking = backend.backend.request(own, "roots/list", {});
    await requestOn([stream], "roots/list");
    backend.backend.notify("notifications/cancelled", { requestId: 1, reason: "no need" });
    await messageOn([stream], ({ method }) => method === "notifications/cancelled");

    expect(backend.backend.ledger.cancellations[0]?.reason).toHaveLength(10_000);
    expect(
      lines.filter(([message]) => / cancelled a call$|^a backend took back /.test(message)),
    ).toEqual([
      ["a client cancelled a call", { backend: "b", reason: `${"x".repeat(128)}…` }],
      ["a backend took back what it had asked the client", { backend: "b", reason: "no need" }],
    ]);
    stream.destroy();
    void asking;
  });
});

function cancelled(requestId: string, reason: string): JsonObject {
  return { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId, reason } };
}

function recordingLogger(lines: [string, LogFields | undefined][]): Logger {
  const record = (message: string, fields?: LogFields): void => void lines.push([message, fields]);
  return { debug: record, info: record, warn: record, error: record };
}
