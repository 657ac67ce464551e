import type { ServerResponse } from "node:http";
import { describe, expect, test } from "vitest";
import { startGateway, type Gateway } from "../support/gateway.ts";
import { waitFor } from "../support/quiescence.ts";
import {
  lastMessage,
  openRawSession,
  type RawAnswer,
  type RawSession,
} from "../support/raw-client.ts";
import {
  answerText,
  BACKENDS,
  backendSessionOf,
  callText,
  childOf,
  messagesOn,
  methodsAt,
  methodsOn,
  startHttp,
  startStdio,
  toolCall,
} from "./protocol-backends.ts";

/** Another client of the same gateway and backend, who must notice nothing. */
interface Bystander {
  readonly session: RawSession;
  readonly stream: RawAnswer;
}

async function openBystander(gateway: Gateway): Promise<Bystander> {
  const session = await openRawSession(gateway.url, { capabilities: { roots: {} } });
  return { session, stream: await session.openStream() };
}

async function expectUnharmed({ session, stream }: Bystander): Promise<void> {
  expect(await callText(session, "echo", { text: "all is well" })).toBe("all is well");
  expect(messagesOn(stream)).toEqual([]);
  stream.destroy();
}

describe("a child that answers what it was not asked", () => {
  // [spec:base-5] [spec:cancel-5]
  test.for<[string, readonly string[]]>([
    ["with an unknown id", ['{"jsonrpc":"2.0","id":999,"result":{}}']],
    ["with the id as another type", ['{"jsonrpc":"2.0","id":"1","result":{"forged":true}}']],
    ["with no id", ['{"jsonrpc":"2.0","result":{}}']],
    ["with the id null", ['{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"m"}}']],
    ["with an id of the gateway's own", ['{"jsonrpc":"2.0","id":"vmcp:own:1","result":{}}']],
  ])("%s harms nobody, and the call gets its own answer", async ([, lines]) => {
    await using backend = await startStdio();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);
    const bystander = await openBystander(gateway);
    const child = await childOf(backend, session);
    const call = session.post(toolCall(1, "slow", { ms: 100 }));
    await waitFor(() => backend.backend.ledger.calls.some(({ tool }) => tool === "slow"));

    for (const line of lines) child.writeLine(line);

    expect(messagesOn(await call)).toEqual([]);
    expect(lastMessage(await call)).toMatchObject({
      id: 1,
      result: { content: [{ text: "waited 100 ms" }] },
    });
    await expectUnharmed(bystander);
  });

  // [spec:base-5]
  test("twice is heard once: the first answer counts", async () => {
    await using backend = await startStdio();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);
    const stream = await session.openStream();
    const bystander = await openBystander(gateway);
    const child = await childOf(backend, session);
    const call = session.post(toolCall(7, "hang"));
    await waitFor(() => backend.backend.ledger.calls.some(({ tool }) => tool === "hang"));

    for (const text of ["first", "second"])
      child.writeLine(JSON.stringify({ jsonrpc: "2.0", id: 7, result: { content: [{ text }] } }));

    expect(JSON.parse((await call).text)).toMatchObject({
      id: 7,
      result: { content: [{ text: "first" }] },
    });
    await callText(session, "count");
    expect(messagesOn(stream)).toEqual([]);
    await expectUnharmed(bystander);
    stream.destroy();
  });
});

describe("an HTTP backend that answers what it was not asked", () => {
  // [spec:base-5] [spec:base-6] [spec:base-8] [spec:lifecycle-20]
  test.for<[string, (id: number) => string]>([
    ["with another id", () => '{"jsonrpc":"2.0","id":999,"result":{}}'],
    ["with neither result nor error", (id) => `{"jsonrpc":"2.0","id":${id}}`],
    [
      "with result and error",
      (id) => `{"jsonrpc":"2.0","id":${id},"result":{},"error":{"code":1,"message":"m"}}`,
    ],
    ["with a result that is no object", (id) => `{"jsonrpc":"2.0","id":${id},"result":[1]}`],
    [
      "with an error without a code",
      (id) => `{"jsonrpc":"2.0","id":${id},"error":{"message":"m"}}`,
    ],
    [
      "with an error whose code is no integer",
      (id) => `{"jsonrpc":"2.0","id":${id},"error":{"code":1.5,"message":"m"}}`,
    ],
    ["of another protocol", (id) => `{"jsonrpc":"1.0","id":${id},"result":{}}`],
    ["with no JSON", () => "<html>oops</html>"],
  ])("%s fails that call alone, by an error that names the backend", async ([, bodyFor]) => {
    await using backend = await startHttp();
    interceptTool(backend.backend, "count", (id, response) => {
      response.writeHead(200, { "content-type": "application/json" });
      response.end(bodyFor(id));
    });
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);
    const bystander = await openBystander(gateway);

    const answer = await session.post(toolCall(5, "count"));

    expect(lastMessage(answer)).toMatchObject({
      jsonrpc: "2.0",
      id: 5,
      error: {
        code: -32_603,
        message: expect.stringContaining('"b"'),
        data: { kind: "backend_protocol", backend: "b" },
      },
    });
    expect(await callText(session, "echo", { text: "still here" })).toBe("still here");
    await expectUnharmed(bystander);
  });

  // [spec:base-5] [spec:transport-22]
  test("twice on one stream is heard once: the first answer counts", async () => {
    await using backend = await startHttp();
    interceptTool(backend.backend, "count", (id, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      for (const text of ["first", "second"])
        response.write(
          `data: {"jsonrpc":"2.0","id":${id},"result":{"content":[{"text":"${text}"}]}}\n\n`,
        );
      response.end();
    });
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);
    const stream = await session.openStream();

    const answer = await session.post(toolCall(5, "count"));

    expect(JSON.parse(answer.text)).toMatchObject({
      id: 5,
      result: { content: [{ text: "first" }] },
    });
    expect(messagesOn(stream)).toEqual([]);
    stream.destroy();
  });

  test("answers on its notification stream reach nobody", async () => {
    await using backend = await startHttp();
    let speak: ((text: string) => void) | undefined;
    backend.backend.interceptWith(({ method }, _body, response) => {
      if (method !== "GET") return false;
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.flushHeaders();
      speak = (text) => void response.write(`data: ${text}\n\n`);
      return true;
    });
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);
    const stream = await session.openStream();
    const call = session.post(toolCall(5, "slow", { ms: 200 }));
    await waitFor(() => speak !== undefined && backend.backend.ledger.calls.length === 1);

    speak?.('{"jsonrpc":"2.0","id":5,"result":{"forged":true}}');

    expect(lastMessage(await call)).toMatchObject({
      result: { content: [{ text: "waited 200 ms" }] },
    });
    expect(messagesOn(stream)).toEqual([]);
    stream.destroy();
  });
});

describe.each(BACKENDS)("a backend over %s", (_transport, startBackend) => {
  // [spec:progress-7] [spec:logging-5]
  test.for([
    ["notifications/progress", { progressToken: "t", progress: 1 }],
    ["notifications/message", { level: "info", data: "again and again" }],
    ["notifications/vendor/unknown", { any: "thing" }],
  ] as const)(
    "that sends 10,000 %s within a call gets its answer through, and others notice nothing",
    async ([method, params]) => {
      await using backend = await startBackend();
      await using gateway = await startGateway({ backends: [backend.entry()] });
      const session = await openRawSession(gateway.url);
      const bystander = await openBystander(gateway);

      const [flooded, aside] = await Promise.all([
        session.post(toolCall(1, "emit", { method, params, times: 10_000 }, "t")),
        bystander.session.post(toolCall(1, "echo", { text: "meanwhile" })),
      ]);

      expect(lastMessage(flooded)).toMatchObject({
        id: 1,
        result: { content: [{ text: "sent" }] },
      });
      expect(flooded.events.length).toBeLessThanOrEqual(10_001);
      expect(answerText(lastMessage(aside))).toBe("meanwhile");
      await expectUnharmed(bystander);
    },
  );

  // [spec:logging-5]
  test("that sends 10,000 messages outside any call does not keep calls from being answered", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);
    const stream = await session.openStream();
    await backend.canSpeakTo(1);
    stream.destroy();
    await waitFor(async () => {
      const next = await session.openStream();
      next.destroy();
      return next.status === 200;
    });

    for (let count = 0; count < 10_000; count += 1)
      backend.backend.notify("notifications/message", { level: "info", data: count });

    expect(await callText(session, "echo", { text: "still here" })).toBe("still here");
  });

  test("that says again and again that its lists changed is asked now and then, and the client hears little [B6]", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);
    const stream = await session.openStream();
    const bystander = await openBystander(gateway);
    const own = await backendSessionOf(backend, session);
    const listings = (): number =>
      methodsAt(backend, own).filter((method) => method === "tools/list").length;
    const before = listings();
    backend.backend.change({ tools: ['{"name":"new","inputSchema":{"type":"object"}}'] });

    await session.post(
      toolCall(1, "emit", { method: "notifications/tools/list_changed", times: 5_000 }),
    );
    await waitFor(() => methodsOn(stream).includes("notifications/tools/list_changed"));
    await waitFor(() => listings() - before === 2);

    expect(methodsOn(stream)).toEqual(["notifications/tools/list_changed"]);
    await expectUnharmed(bystander);
    stream.destroy();
  });

  test("that asks more than a client can answer is refused beyond that, and others are asked as before", async () => {
    await using backend = await startBackend();
    await using other = await startBackend({ name: "other" });
    await using gateway = await startGateway({
      backends: [backend.entry("one"), other.entry("two")],
    });
    const session = await openRawSession(gateway.url, { capabilities: { roots: {} } });
    const stream = await session.openStream();
    await backend.canSpeakTo(1);
    const own = await backendSessionOf(backend, session, "one_whoami");

    const asked = Array.from({ length: 20 }, async () =>
      backend.backend.request(own, "roots/list", {}),
    );
    const refused = await Promise.race(asked);
    const call = await session.startPost(toolCall(1, "two_ask", { method: "roots/list" }));

    expect(JSON.parse(refused)).toMatchObject({ error: { code: -32_603 } });
    await waitFor(() => methodsOn(call).includes("roots/list"));
    expect(methodsOn(stream)).toEqual(Array.from({ length: 8 }, () => "roots/list"));
    // A call that waits for its client would hold the end of the session up.
    await session.post({
      jsonrpc: "2.0",
      method: "notifications/cancelled",
      params: { requestId: 1 },
    });
    stream.destroy();
  });
});

function interceptTool(
  backend: Awaited<ReturnType<typeof startHttp>>["backend"],
  tool: string,
  answer: (id: number, response: ServerResponse) => void,
): void {
  backend.interceptWith((_request, body, response) => {
    if (!body.includes('"tools/call"') || !body.includes(`"${tool}"`)) return false;
    answer(JSON.parse(body).id, response);
    return true;
  });
}
