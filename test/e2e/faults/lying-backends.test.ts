import type { ServerResponse } from "node:http";
import { describe, expect, test } from "vitest";
import { startHttpLedger, type HttpLedger } from "../../support/ledger-backend.ts";
import { startSseLedger } from "../../support/ledger-sse.ts";
import { startStdioLedger } from "../../support/ledger-stdio.ts";
import { waitFor } from "../../support/quiescence.ts";
import { openRawSession, sendRaw } from "../../support/raw-client.ts";
import { callText, messagesOn, toolCall } from "../protocol-backends.ts";
import { errorOf, startFaultGateway, type BackendEntry } from "./fault-backends.ts";

/** Answers calls of `echo` in place of the backend. */
function answerEcho(
  ledger: HttpLedger,
  answer: (response: ServerResponse, id: number) => void,
): void {
  ledger.interceptWith((_request, body, response) => {
    if (!body.includes('"echo"')) return false;
    answer(response, JSON.parse(body).id);
    return true;
  });
}

function json(response: ServerResponse, text: string): void {
  response.writeHead(200, { "content-type": "application/json" }).end(text);
}

describe("what is no answer", () => {
  test.for<[string, (response: ServerResponse, id: number) => void]>([
    ["garbage", (response) => json(response, "}{")],
    ["nothing", (response) => json(response, "")],
    [
      "a page",
      (response) =>
        void response.writeHead(200, { "content-type": "text/html" }).end("<html>at /etc/x</html>"),
    ],
    ["half an answer", (response, id) => json(response, `{"jsonrpc":"2.0","id":${id},"result":{`)],
    [
      "the answer to another call",
      (response) => json(response, '{"jsonrpc":"2.0","id":77,"result":{}}'),
    ],
    [
      "an id of another type",
      (response, id) => json(response, `{"jsonrpc":"2.0","id":"${id}","result":{}}`),
    ],
    ["neither result nor error", (response, id) => json(response, `{"jsonrpc":"2.0","id":${id}}`)],
    [
      "both result and error",
      (response, id) =>
        json(response, `{"jsonrpc":"2.0","id":${id},"result":{},"error":{"code":1,"message":""}}`),
    ],
    [
      "an event that is no message",
      (response) =>
        void response
          .writeHead(200, { "content-type": "text/event-stream" })
          .end("event: message\ndata: at https://internal.example/x\n\n"),
    ],
  ])("%s is said to be none, once, and harms nobody else [F8] [I2] [I3]", async ([, answer]) => {
    await using ledger = await startHttpLedger();
    await using gateway = await startFaultGateway([{ name: "b", url: ledger.url }]);
    const session = await openRawSession(gateway.url);
    const bystander = await openRawSession(gateway.url);
    const stream = await bystander.openStream();
    answerEcho(ledger, answer);

    const failed = await session.post(toolCall(1, "echo"));
    ledger.interceptWith(undefined);

    expect(errorOf(failed)).toMatchObject({
      data: { kind: "backend_protocol", executionState: "unknown" },
    });
    expect(await callText(session, "count")).toBe("1");
    expect(await callText(bystander, "count")).toBe("1");
    expect(messagesOn(stream)).toEqual([]);
    stream.destroy();
  });

  test.for<[string, () => Promise<AsyncDisposable & Speaker>]>([
    ["HTTP+SSE", startSseSpeaker],
    ["stdio", startStdioSpeaker],
  ])(
    "on the one stream of %s is passed over, and the first answer counts [F8] [I2]",
    async ([, start]) => {
      await using backend = await start();
      await using gateway = await startFaultGateway([backend.entry]);
      await gateway.vmcp.probed();
      const session = await openRawSession(gateway.url);
      const call = session.startPost(toolCall(900, "slow", { ms: 200 }));
      await waitFor(() => backend.isCalled());

      for (const text of [
        "garbage",
        '{"jsonrpc":"2.0","id":77,"result":{}}',
        '{"jsonrpc":"2.0","id":"900","result":{"content":[]}}',
        '{"jsonrpc":"2.0","id":900,"result":{"content":[{"type":"text","text":"first"}]}}',
        '{"jsonrpc":"2.0","id":900,"result":{"content":[{"type":"text","text":"second"}]}}',
      ]) {
        backend.say(text);
      }
      const answer = await call;
      await answer.ended;

      expect(answer.text.match(/"first"|"second"|waited/g)).toEqual(['"first"']);
      // The backend's own answer to the first call has come by now, and belongs to nobody.
      expect(await callText(session, "slow", { ms: 250 })).toBe("waited 250 ms");
    },
  );
});

/** A backend whose test says things on its stream. */
interface Speaker {
  readonly entry: BackendEntry;
  isCalled(): boolean;
  say(text: string): void;
}

async function startSseSpeaker(): Promise<AsyncDisposable & Speaker> {
  const ledger = await startSseLedger();
  return {
    entry: { name: "b", transport: "sse", url: ledger.url },
    isCalled: () => ledger.ledger.calls.length === 1,
    say: (text) => ledger.writeRaw(`event: message\ndata: ${text}\n\n`),
    [Symbol.asyncDispose]: async () => ledger.close(),
  };
}

async function startStdioSpeaker(): Promise<AsyncDisposable & Speaker> {
  const ledger = await startStdioLedger();
  return {
    entry: { name: "b", command: ledger.command, args: [...ledger.args] },
    isCalled: () => ledger.ledger.calls.length === 1,
    say: (text) => {
      for (const child of ledger.aliveChildren) child.writeLine(text);
    },
    [Symbol.asyncDispose]: async () => ledger.close(),
  };
}

describe("a flood of what nobody asked for", () => {
  test("is dropped, what the client cannot do is refused, and others are served meanwhile [F10] [I10]", async () => {
    await using ledger = await startHttpLedger();
    await using gateway = await startFaultGateway([{ name: "b", url: ledger.url }]);
    await gateway.vmcp.probed();
    const session = await openRawSession(gateway.url);
    const bystander = await openRawSession(gateway.url);
    const params = { progressToken: "forged", progress: 1 };
    const flood = session.startPost(
      toolCall(1, "emit", { method: "notifications/progress", params, times: 20_000 }),
    );
    const asking = session.post(toolCall(2, "ask", { method: "elicitation/create", params: {} }));

    const meanwhile = await callText(bystander, "echo", { text: "served" });
    const health = await sendRaw(new URL("/health", gateway.url).href);
    const answer = await flood;
    await answer.ended;

    expect([meanwhile, health.status]).toEqual(["served", 200]);
    expect(messagesOn(answer)).toEqual([]);
    expect(JSON.parse(answer.text)).toMatchObject({ id: 1, result: {} });
    expect((await asking).text).toContain("-32601");
    expect(await callText(session, "echo", { text: "still here" })).toBe("still here");
  });

  test.for(["notifications/message", "notifications/made-up", "notifications/progress"])(
    "of %s outside any call reaches only who may hear it, and holds up nobody [F10] [I3]",
    async (method) => {
      await using ledger = await startHttpLedger();
      await using gateway = await startFaultGateway([{ name: "b", url: ledger.url }]);
      await gateway.vmcp.probed();
      const session = await openRawSession(gateway.url);
      const stream = await session.openStream();
      const bystander = await openRawSession(gateway.url);
      await waitFor(() => ledger.openStreams === 1);

      for (let n = 0; n < 2_000; n += 1) {
        ledger.notify(method, { level: "info", data: n, progressToken: "forged", progress: n });
      }

      expect(await callText(bystander, "echo", { text: "served" })).toBe("served");
      expect(await callText(session, "echo", { text: "served" })).toBe("served");
      // A token that nobody gave belongs to nobody.
      const mayHear = method !== "notifications/progress";
      const unwanted = messagesOn(stream).filter(
        (message) => !mayHear || message["method"] !== method,
      );
      expect(unwanted).toEqual([]);
      stream.destroy();
    },
  );
});
