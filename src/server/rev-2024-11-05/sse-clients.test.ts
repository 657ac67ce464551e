import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { expect, test } from "vitest";
import { sendRaw, startRaw, type RawAnswer } from "../../../test/support/raw-client.ts";
import type { AnswerSink, BackendMessage } from "../../mcp/exchange.ts";
import type { ClientStream } from "../../session/edge-session.ts";
import { startHost, type TestHost, type TestHostOptions } from "../testing/host.ts";

type OpenedStream = Pick<RawAnswer, "events" | "destroy">;

const INITIALIZE =
  '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2024-11-05"}}';
const CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}';
const PING = '{"jsonrpc":"2.0","id":2,"method":"ping"}';

function message(text: string): BackendMessage {
  return { bytes: Buffer.from(text), message: JSON.parse(text) };
}

async function startOldHost(options: TestHostOptions): Promise<TestHost> {
  return startHost({ ...options, legacySse: true });
}

async function openStream({ url }: TestHost): Promise<RawAnswer> {
  const headers = { accept: "text/event-stream" };
  const stream = await startRaw(new URL("/sse", url).href, { headers });
  await expect.poll(() => stream.events).toHaveLength(1);
  return stream;
}

/** A stream of which nothing is read after its first event. */
async function openUnreadStream({ url }: TestHost): Promise<OpenedStream> {
  const headers = { accept: "text/event-stream" };
  const outgoing = request(new URL("/sse", url), { agent: false, headers }).end();
  // The emitter's own contract: `response` carries the message.
  const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
  await once(incoming, "readable");
  const [, address = ""] = /data: (.*)\n/.exec(String(incoming.read())) ?? [];
  return { events: [address], destroy: () => void incoming.destroy() };
}

async function post({ url }: TestHost, stream: OpenedStream, body: string): Promise<RawAnswer> {
  const headers = { "content-type": "application/json" };
  return sendRaw(new URL(stream.events[0] ?? "", url).href, { method: "POST", headers, body });
}

test("a stream on which no session is asked for is closed", async () => {
  await using host = await startOldHost({ limits: { openingDeadlineMs: 50 } });
  const silent = await openStream(host);

  await silent.ended;

  expect(silent.events).toHaveLength(1);
});

test("a stream with a session stays, and carries comments while it is idle", async () => {
  const limits = { openingDeadlineMs: 1_000, heartbeatIntervalMs: 60 };
  await using host = await startOldHost({ limits });
  const stream = await openStream(host);
  await post(host, stream, INITIALIZE);

  await expect.poll(() => stream.text.split(": keep-alive").length).toBeGreaterThan(20);

  expect((await post(host, stream, PING)).status).toBe(202);
  stream.destroy();
});

test("one that does not read gets no more notifications, and its requests are refused", async () => {
  const sinks: AnswerSink[] = [];
  const streams: ClientStream[] = [];
  await using host = await startOldHost({
    session: {
      forward: (_request, sink) => {
        sinks.push(sink);
        return { cancel() {}, pause() {}, resume() {} };
      },
      attachStream: (stream) => {
        streams.push(stream);
        return { flush() {}, [Symbol.dispose]() {} };
      },
    },
  });
  const stream = await openUnreadStream(host);
  await post(host, stream, INITIALIZE);
  await post(host, stream, CALL);
  await expect.poll(() => sinks).toHaveLength(1);
  const big = message(`{"jsonrpc":"2.0","method":"n","params":{"t":"${"x".repeat(200_000)}"}}`);

  const statusOfPing = async (): Promise<number> => {
    streams[0]?.send(big.bytes);
    return (await post(host, stream, PING)).status;
  };

  await expect.poll(statusOfPing, { interval: 1 }).toBe(503);

  expect(streams[0]?.send(big.bytes)).toBe(false);
  expect(sinks[0]?.event(big)).toBe(false);
  stream.destroy();
});

test("a client that leaves cancels its calls and ends its session", async () => {
  const cancelled: string[] = [];
  const ended: string[] = [];
  await using host = await startOldHost({
    session: {
      forward: () => ({ cancel: (why) => void cancelled.push(why), pause() {}, resume() {} }),
    },
    sessions: { terminate: async (id) => void ended.push(id) },
  });
  const stream = await openStream(host);
  await post(host, stream, INITIALIZE);
  await post(host, stream, CALL);

  stream.destroy();

  await expect.poll(() => ended).toHaveLength(1);
  expect(cancelled).toEqual(["The client disconnected"]);
});
