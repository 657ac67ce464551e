import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { VmcpError } from "../domain/errors.ts";
import type { AnswerSink, BackendMessage } from "../mcp/exchange.ts";
import { ENDED_EXCHANGE } from "../mcp/exchange.ts";
import type { ClientStream, EdgeSession } from "../session/edge-session.ts";
import { waitFor } from "../../test/support/quiescence.ts";
import { sendRaw, startRaw } from "../../test/support/raw-client.ts";
import { SESSION_HEADERS, startHost } from "./testing/host.ts";

const CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}';
const POST = { method: "POST", headers: SESSION_HEADERS, body: CALL } as const;
const GET = { headers: { ...SESSION_HEADERS, accept: "text/event-stream" } } as const;
const PROGRESS = toMessage({ method: "notifications/progress" });
const ANSWER = toMessage({ id: 1, result: { done: true } });

function toMessage(value: object): BackendMessage {
  const message = { jsonrpc: "2.0" as const, ...value };
  return { bytes: Buffer.from(JSON.stringify(message)), message };
}

interface Raw {
  readonly socket: Socket;
  /** Everything that came so far. */
  readonly received: () => string;
}

/** Writes a request on a connection of its own, which stays open for more. */
function send(url: string, method: string, body = ""): Raw {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  let received = "";
  socket.setEncoding("latin1").on("data", (chunk: string) => {
    received += chunk;
  });
  socket.write(requestText(method, body));
  return { socket, received: () => received };
}

function requestText(
  method: string,
  body: string,
  headers: Readonly<Record<string, string>> = SESSION_HEADERS,
): string {
  const all = { ...headers, "content-length": String(Buffer.byteLength(body)) };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} /mcp HTTP/1.1\r\nHost: localhost\r\n${lines.join("")}\r\n${body}`;
}

/** A session whose calls wait for the test to speak for their backend. */
function waitingCalls(): { session: Partial<EdgeSession>; sinks: AnswerSink[] } {
  const sinks: AnswerSink[] = [];
  const forward: EdgeSession["forward"] = (_request, sink) => {
    sinks.push(sink);
    return ENDED_EXCHANGE;
  };
  return { session: { forward }, sinks };
}

/** A session whose stream the test ends. */
function heldStream(revision: string): { session: Partial<EdgeSession>; streams: ClientStream[] } {
  const streams: ClientStream[] = [];
  const attachStream: EdgeSession["attachStream"] = (stream) => {
    streams.push(stream);
    return { flush() {}, [Symbol.dispose]() {} };
  };
  return { session: { attachStream, client: { revision, capabilities: {}, info: {} } }, streams };
}

test("an answer that is due says that its connection closes, and then it does [F30]", async () => {
  const { session, sinks } = waitingCalls();
  await using edge = await startHost({ session });
  const { socket, received } = send(edge.url, "POST", CALL);
  await waitFor(() => sinks.length === 1);

  edge.host.stopAccepting();
  sinks[0]?.answer(ANSWER);
  await once(socket, "close");

  expect(received()).toMatch(/^HTTP\/1.1 200 OK\r\n[^]*connection: close[^]*"done":true/i);
});

test("a connection whose answer has begun closes behind the answer's end [F30]", async () => {
  const { session, sinks } = waitingCalls();
  await using edge = await startHost({ session });
  const { socket, received } = send(edge.url, "POST", CALL);
  await waitFor(() => sinks.length === 1);
  sinks[0]?.event(PROGRESS);
  await waitFor(() => received().includes("notifications/progress"));

  edge.host.stopAccepting();
  sinks[0]?.answer(ANSWER);
  await once(socket, "close");

  expect(received()).toMatch(/connection: keep-alive[^]*"done":true/i);
});

test("who is idle is closed at once, and nobody new is let in [F30]", async () => {
  await using edge = await startHost();
  const { socket, received } = send(edge.url, "POST", CALL.replace("tools/call", "ping"));
  await waitFor(() => received().includes('"result"'));

  edge.host.stopAccepting();
  await once(socket, "close");

  await expect(sendRaw(edge.url, POST)).rejects.toMatchObject({ code: "ECONNREFUSED" });
});

test("who connected before and speaks only now gets 503 and a time to wait [R19]", async () => {
  const stopping = new VmcpError("shutting_down", "closing", { executionState: "not_executed" });
  await using edge = await startHost({
    sessions: {
      generate: async () => {
        throw stopping;
      },
    },
  });
  const socket = connect(Number(new URL(edge.url).port), "127.0.0.1");
  let received = "";
  socket.setEncoding("latin1").on("data", (chunk: string) => {
    received += chunk;
  });
  await once(socket, "connect");
  await sendRaw(new URL("/health", edge.url).href);

  edge.host.stopAccepting();
  const { "mcp-session-id": _none, ...headers } = SESSION_HEADERS;
  const params = '{"protocolVersion":"2025-11-25"}';
  const body = `{"jsonrpc":"2.0","id":7,"method":"initialize","params":${params}}`;
  socket.write(requestText("POST", body, headers));
  await once(socket, "close");

  expect(received).toMatch(/^HTTP\/1.1 503 [^]*retry-after: 5\r\n[^]*connection: close/i);
  expect(received).toContain('"kind":"shutting_down","executionState":"not_executed"');
});

test("a stream that ends because the gateway stops says when to come back [F30]", async () => {
  const { session, streams } = heldStream("2025-11-25");
  await using edge = await startHost({ session });
  const stream = await startRaw(edge.url, GET);
  await waitFor(() => streams.length === 1);

  edge.host.stopAccepting();
  streams[0]?.end();
  await stream.ended;

  const retryMs = Number(/retry: (\d+)\n\n$/.exec(stream.text)?.[1]);
  expect(retryMs).toBeGreaterThanOrEqual(5_000);
  expect(retryMs).toBeLessThan(10_000);
});

test.for<[string, string, boolean]>([
  ["a revision that does not know events without data", "2025-06-18", true],
  ["a session that ends alone", "2025-11-25", false],
])("the stream of %s just ends", async ([, revision, isStopping]) => {
  const { session, streams } = heldStream(revision);
  await using edge = await startHost({ session });
  const stream = await startRaw(edge.url, GET);
  await waitFor(() => streams.length === 1);

  if (isStopping) edge.host.stopAccepting();
  streams[0]?.end();
  await stream.ended;

  expect(stream.text).not.toMatch(/retry: \d+\n\n/);
});

test("what was answered just before the end is still sent to a slow reader", async () => {
  const { session, sinks } = waitingCalls();
  const edge = await startHost({ session });
  const { socket, received } = send(edge.url, "POST", CALL);
  await waitFor(() => sinks.length === 1);
  socket.pause();
  const text = "x".repeat(8 * 1024 * 1024);
  sinks[0]?.answer(toMessage({ id: 1, result: { text } }));

  const closing = edge.host[Symbol.asyncDispose]();
  socket.resume();
  await Promise.all([closing, once(socket, "close")]);

  expect(received().length).toBeGreaterThan(text.length);
});

test("who does not read what was sent is cut in the end", async () => {
  const { session, sinks } = waitingCalls();
  const edge = await startHost({ session });
  const { socket } = send(edge.url, "POST", CALL);
  socket.pause();
  await waitFor(() => sinks.length === 1);
  sinks[0]?.answer(toMessage({ id: 1, result: { text: "x".repeat(64 * 1024 * 1024) } }));

  await edge.host[Symbol.asyncDispose]();

  await expect(sendRaw(edge.url, POST)).rejects.toThrow("ECONNREFUSED");
});
