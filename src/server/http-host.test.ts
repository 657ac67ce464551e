import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect, type Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { VmcpError } from "../domain/errors.ts";
import type { JsonObject } from "../domain/json.ts";
import { SILENT_LOGGER } from "../domain/logger.ts";
import { edgeSession, SESSION_ID } from "../gateway/testing/edge-session.ts";
import type { AnswerSink, BackendMessage, Exchange } from "../mcp/exchange.ts";
import type { ClientStream, EdgeSession } from "../session/edge-session.ts";
import { HAS_PROC, openSockets, waitFor } from "../../test/support/quiescence.ts";
import { sendRaw, startRaw } from "../../test/support/raw-client.ts";
import type { EdgeSessions } from "./rev-2025-11-25/sessions.ts";
import { deferred, SESSION_HEADERS, startHost } from "./testing/host.ts";

const CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}';
const POST = { method: "POST", headers: SESSION_HEADERS, body: CALL } as const;
const GET = { headers: { ...SESSION_HEADERS, accept: "text/event-stream" } } as const;

/** A session whose calls do nothing until the test speaks for the backend. */
interface ScriptedCalls {
  readonly session: Partial<EdgeSession>;
  readonly sinks: AnswerSink[];
  readonly cancelled: string[];
  readonly counts: { resumed: number };
}

function scriptedCalls(): ScriptedCalls {
  const sinks: AnswerSink[] = [];
  const cancelled: string[] = [];
  const counts = { resumed: 0 };
  const exchange: Exchange = {
    cancel: (reason) => void cancelled.push(reason),
    pause() {},
    resume: () => {
      counts.resumed += 1;
    },
  };
  const forward: EdgeSession["forward"] = (_request, sink) => {
    sinks.push(sink);
    return exchange;
  };
  return { session: { forward }, sinks, cancelled, counts };
}

/** Sessions of which the one is still being made. */
function startingSession() {
  const awaited = deferred<void>();
  const ready = deferred<EdgeSession>();
  const sessions: Partial<EdgeSessions> = {
    getMultiSession: () => undefined,
    whenReady: async () => {
      awaited.resolve();
      return ready.promise;
    },
  };
  return { awaited, ready, sessions };
}

function refuseLate(): never {
  throw new VmcpError("session_closed", "closing", { executionState: "unknown" });
}

function failByBug(): never {
  throw new TypeError("secret detail");
}

function hugeList(): Buffer {
  return Buffer.alloc(64 * 1024 * 1024, " ");
}

function toMessage(value: JsonObject): BackendMessage {
  const message = { jsonrpc: "2.0" as const, ...value };
  return { bytes: Buffer.from(JSON.stringify(message)), message };
}

function progress(text = ""): BackendMessage {
  return toMessage({ method: "notifications/progress", params: { text } });
}

const ANSWER = toMessage({ id: 1, result: { done: true } });

/** Writes a request on a socket of its own and reads nothing of what comes back. */
function sendUnread(url: string, head: string, body = ""): Socket {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on("error", () => {});
  socket.write(`${head} HTTP/1.1\r\nHost: localhost\r\n${headerLines(body)}\r\n${body}`);
  return socket;
}

function headerLines(body: string): string {
  return Object.entries({ ...SESSION_HEADERS, "content-length": String(Buffer.byteLength(body)) })
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("");
}

function beatsIn(text: string): number {
  return text.split(": keep-alive\n\n").length - 1;
}

describe("heartbeats", () => {
  test("an idle stream gets comments, be it a GET's or that of a call under way", async () => {
    const { session, sinks } = scriptedCalls();
    await using edge = await startHost({ session, limits: { heartbeatIntervalMs: 10 } });

    const get = await startRaw(edge.url, GET);
    const posting = startRaw(edge.url, POST);
    const [sink] = await waitFor(() => (sinks.length > 0 ? sinks : undefined));
    sink?.event(progress());
    const post = await posting;

    await waitFor(() => beatsIn(get.text) >= 2 && beatsIn(post.text) >= 2);
    sink?.answer(ANSWER);
    await post.ended;
    expect(post.events.at(-1)).toBe(ANSWER.bytes.toString());
    get.destroy();
  });

  test("a stream that was ended while its reader is behind is left alone", async () => {
    const streams: ClientStream[] = [];
    const attachStream: EdgeSession["attachStream"] = (stream) => {
      streams.push(stream);
      return { flush() {}, [Symbol.dispose]() {} };
    };
    await using edge = await startHost({
      session: { attachStream },
      limits: { heartbeatIntervalMs: 5 },
    });
    const stalled = sendUnread(edge.url, "GET /mcp").pause();
    const [stream] = await waitFor(() => (streams.length > 0 ? streams : undefined));
    const healthy = await startRaw(edge.url, GET);

    await fill(stream);
    stream?.end();

    await waitFor(() => beatsIn(healthy.text) >= 3);
    const health = await sendRaw(new URL("/health", edge.url).href);
    expect(health.status).toBe(200);
    stalled.destroy();
    healthy.destroy();
  });
});

describe("a client that goes away", () => {
  // [spec:transport-25]
  test("has its call cancelled when the grace is over", async () => {
    const { session, sinks, cancelled } = scriptedCalls();
    await using edge = await startHost({ session, limits: { disconnectGraceMs: 20 } });
    const socket = sendUnread(edge.url, "POST /mcp", CALL);
    await waitFor(() => sinks.length === 1);

    socket.destroy();

    await waitFor(() => cancelled.length > 0);
    expect(cancelled).toEqual(["The client disconnected"]);
  });

  // [spec:transport-25]
  test("during the grace the call goes on, unpaused, and may still be answered", async () => {
    const { session, sinks, cancelled, counts } = scriptedCalls();
    await using edge = await startHost({ session, limits: { disconnectGraceMs: 60_000 } });
    const socket = sendUnread(edge.url, "POST /mcp", CALL);
    await waitFor(() => sinks.length === 1);

    socket.destroy();
    await waitFor(() => counts.resumed > 0);
    const wantsMore = sinks[0]?.event(progress());
    sinks[0]?.answer(ANSWER);

    expect(wantsMore).toBe(true);
    expect(cancelled).toEqual([]);
    expect((await sendRaw(new URL("/health", edge.url).href)).status).toBe(200);
  });

  test("before its call could begin has it cancelled all the same", async () => {
    const { session, sinks, cancelled } = scriptedCalls();
    const starting = startingSession();
    await using edge = await startHost({
      limits: { disconnectGraceMs: 10 },
      sessions: starting.sessions,
    });
    const socket = sendUnread(edge.url, "POST /mcp", CALL);
    await starting.awaited.promise;

    await vanish(socket, edge.url);
    starting.ready.resolve(edgeSession(session));

    await waitFor(() => sinks.length === 1);
    await expect.poll(() => cancelled).toEqual(["The client disconnected"]);
  });

  test("before its stream could open does not hold the session's one stream", async () => {
    let attached = 0;
    const session = edgeSession({
      attachStream: () => {
        attached += 1;
        return {
          flush() {},
          [Symbol.dispose]: () => {
            attached -= 1;
          },
        };
      },
    });
    const starting = startingSession();
    await using edge = await startHost({ sessions: starting.sessions });
    const socket = sendUnread(edge.url, "GET /mcp");
    await starting.awaited.promise;

    await vanish(socket, edge.url);
    starting.ready.resolve(session);
    const later = await sendRaw(edge.url, { ...POST, body: CALL.replace("tools/call", "ping") });

    expect(later.status).toBe(200);
    expect(attached).toBe(0);
  });

  test("while its session is made ends the making", async () => {
    const terminated: string[] = [];
    let reason: unknown;
    await using edge = await startHost({
      sessions: {
        createSession: async (_id, { signal }) => {
          await once(signal, "abort");
          reason = signal.reason;
          throw reason;
        },
        terminate: async (id) => void terminated.push(id),
      },
    });
    const initialize =
      '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}';
    const { "mcp-session-id": _none, ...headers } = SESSION_HEADERS;
    const leaving = httpRequest(edge.url, { method: "POST", headers });
    leaving.on("error", () => {});
    leaving.end(initialize);
    await once(leaving, "finish");

    leaving.destroy();

    await waitFor(() => terminated.length > 0);
    expect(terminated).toEqual([SESSION_ID]);
    expect(reason).toMatchObject({ code: "cancelled" });
  });
});

describe("a client that reads slowly", () => {
  test("slows the backend, and goes on where it stopped", async () => {
    const { session, sinks, counts } = scriptedCalls();
    await using edge = await startHost({ session });
    const socket = sendUnread(edge.url, "POST /mcp", CALL);
    socket.pause();
    await waitFor(() => sinks.length === 1);

    let sent = 0;
    while (sinks[0]?.event(progress("x".repeat(16 * 1024))) === true) sent += 1;
    const resumedBefore = counts.resumed;
    let received = "";
    socket.setEncoding("latin1").on("data", (chunk: string) => {
      received += chunk;
    });
    socket.resume();

    await waitFor(() => counts.resumed > resumedBefore);
    sinks[0]?.answer(ANSWER);
    await waitFor(() => received.includes('"done":true'));
    expect(received.split("notifications/progress").length - 1).toBe(sent + 1);
    socket.destroy();
  });

  test("loses notifications past the bound and never a request, where the backend does not slow down", async () => {
    const { session, sinks } = scriptedCalls();
    await using edge = await startHost({ session, limits: { streamBufferBytes: 64 * 1024 } });
    const socket = sendUnread(edge.url, "POST /mcp", CALL);
    socket.pause();
    await waitFor(() => sinks.length === 1);

    for (let n = 0; n < 2_000; n += 1) sinks[0]?.event(progress("x".repeat(16 * 1024)));
    sinks[0]?.event(toMessage({ id: "vmcp:1", method: "sampling/createMessage" }));
    sinks[0]?.answer(ANSWER);
    let received = "";
    socket.setEncoding("latin1").on("data", (chunk: string) => {
      received += chunk;
    });
    socket.resume();

    await waitFor(() => received.includes('"done":true'));
    expect(received).toContain("sampling/createMessage");
    expect(received.split("notifications/progress").length - 1).toBeLessThan(2_000);
    socket.destroy();
  });

  test("holds back what the session sends on its stream, and is told when there is room", async () => {
    const streams: ClientStream[] = [];
    let flushed = 0;
    await using edge = await startHost({
      session: {
        attachStream: (stream) => {
          streams.push(stream);
          return {
            flush: () => {
              flushed += 1;
            },
            [Symbol.dispose]() {},
          };
        },
      },
    });
    const socket = sendUnread(edge.url, "GET /mcp");
    socket.pause();
    const [stream] = await waitFor(() => (streams.length > 0 ? streams : undefined));

    let taken = 0;
    while (stream?.send(Buffer.alloc(16 * 1024, "x")) === true) taken += 1;
    let received = 0;
    socket.on("data", (chunk: Buffer) => {
      received += chunk.length;
    });
    socket.resume();

    await waitFor(() => flushed > 0);
    await waitFor(() => received > taken * 16 * 1024);
    expect(stream?.send(Buffer.from("{}"))).toBe(true);
    socket.destroy();
  });

  test.skipIf(!HAS_PROC)(
    "and stops reading is cut after a while, and a call that waits for its backend is not",
    async () => {
      const { session, sinks, cancelled } = scriptedCalls();
      await using edge = await startHost({
        session: { ...session, list: hugeList },
        limits: { idleTimeoutMs: 150 },
      });
      const waiting = startRaw(edge.url, POST);
      await waitFor(() => sinks.length === 1);

      const stalled = sendUnread(edge.url, "POST /mcp", CALL.replace("tools/call", "tools/list"));
      stalled.pause();
      await once(stalled, "connect");
      await waitFor(() => !isHeldByHost(edge.url, stalled));
      sinks[0]?.answer(ANSWER);

      expect((await waiting).status).toBe(200);
      expect(cancelled).toEqual([]);
      stalled.destroy();
    },
  );
});

describe("answers of a call", () => {
  test("a lone answer is JSON and anything before it makes a stream", async () => {
    const { session, sinks } = scriptedCalls();
    await using edge = await startHost({ session });

    const alone = startRaw(edge.url, POST);
    await waitFor(() => sinks.length === 1);
    sinks[0]?.answer(ANSWER);
    const after = startRaw(edge.url, POST);
    await waitFor(() => sinks.length === 2);
    sinks[1]?.event(progress());
    sinks[1]?.answer(ANSWER);

    expect((await alone).headers["content-type"]).toBe("application/json");
    expect((await after).headers["content-type"]).toBe("text/event-stream");
    await (
      await after
    ).ended;
    expect((await after).events).toHaveLength(2);
  });

  test("a failure within a stream is its last event", async () => {
    const { session, sinks } = scriptedCalls();
    await using edge = await startHost({ session });
    const answering = startRaw(edge.url, POST);
    await waitFor(() => sinks.length === 1);

    sinks[0]?.event(progress());
    sinks[0]?.fail(new VmcpError("backend_closed", "gone", { executionState: "unknown" }));

    const answer = await answering;
    await answer.ended;
    expect(JSON.parse(answer.events.at(-1) ?? "")).toMatchObject({
      id: 1,
      error: { code: -32_603, data: { kind: "backend_closed" } },
    });
  });

  test("a call that the client cancelled ends without an answer", async () => {
    const { session, sinks } = scriptedCalls();
    await using edge = await startHost({ session });
    const answering = sendRaw(edge.url, POST);
    await waitFor(() => sinks.length === 1);

    sinks[0]?.cancelled?.();

    const answer = await answering;
    expect(answer.status).toBe(200);
    expect(answer.text).toBe("");
  });

  test("what meets a session on its way out is answered as if the session were unknown", async () => {
    await using edge = await startHost({
      session: { forward: refuseLate, attachStream: refuseLate },
      sessions: {
        whenReady: async () => {
          throw new VmcpError("session_not_found", "other words");
        },
      },
    });

    const call = await sendRaw(edge.url, POST);
    const stream = await sendRaw(edge.url, GET);
    const unknown = await sendRaw(edge.url, {
      ...POST,
      headers: { ...SESSION_HEADERS, "mcp-session-id": "unknown" },
    });

    expect([call.status, stream.status, unknown.status]).toEqual([404, 404, 404]);
    expect(call.text).toBe(unknown.text);
  });

  test("a session of somebody else is answered as if it were unknown, to the byte", async () => {
    const identity = { kind: "verified", issuer: "i", subject: "bob" } as const;
    await using edge = await startHost({
      session: { identity },
      sessions: {
        whenReady: async () => {
          throw new VmcpError("session_not_found", "session not found");
        },
      },
    });

    const foreign = await sendRaw(edge.url, POST);
    const unknown = await sendRaw(edge.url, {
      ...POST,
      headers: { ...SESSION_HEADERS, "mcp-session-id": "unknown" },
    });

    expect(foreign.status).toBe(404);
    expect(foreign.text).toBe(unknown.text);
  });

  test("a bug is a number for the client and a stack for the log", async () => {
    const logged: unknown[] = [];
    await using edge = await startHost({
      session: { forward: failByBug },
      logger: { ...SILENT_LOGGER, error: (_text, fields) => void logged.push(fields) },
    });

    const answer = await sendRaw(edge.url, POST);
    const { error } = JSON.parse(answer.text);

    expect(answer.status).toBe(500);
    expect(answer.text).not.toContain("secret detail");
    expect(error).toMatchObject({ code: -32_603, message: "Internal error" });
    expect(logged).toMatchObject([
      { correlationId: error.data.correlationId, reason: expect.stringContaining("secret detail") },
    ]);
  });
});

describe("a session that cannot be had now is 503 and a time to wait", () => {
  const { "mcp-session-id": _unknown, ...headers } = SESSION_HEADERS;
  const body =
    '{"jsonrpc":"2.0","id":7,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}';

  test.for<[string, VmcpError | undefined, string]>([
    [
      "too many sessions",
      new VmcpError("too_many_sessions", "full", { retryAfterSeconds: 30 }),
      "30",
    ],
    ["shutting down", new VmcpError("shutting_down", "closing"), "5"],
    ["a store that gives no id", undefined, "30"],
  ])("%s", async ([, refusal, retryAfter]) => {
    await using edge = await startHost({
      sessions: {
        generate: async () => {
          if (refusal !== undefined) throw refusal;
          return "";
        },
      },
    });

    const answer = await sendRaw(edge.url, { method: "POST", headers, body });

    expect(answer.status).toBe(503);
    expect(answer.headers["retry-after"]).toBe(retryAfter);
    expect(answer.headers["mcp-session-id"]).toBeUndefined();
    expect(JSON.parse(answer.text)).toMatchObject({ id: 7, error: { code: 503 } });
  });
});

test("a browser page of a listed origin may ask and read, any other may not", async () => {
  await using edge = await startHost({ allowedOrigins: ["https://app.example.com"] });
  const preflight = (origin: string) =>
    sendRaw(edge.url, {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "POST" },
    });

  const listed = await preflight("https://app.example.com");
  const unlisted = await preflight("https://evil.example");
  const local = await preflight("http://localhost:6274");

  expect(listed.status).toBe(204);
  expect(listed.headers["access-control-allow-origin"]).toBe("https://app.example.com");
  expect(listed.headers.vary).toBe("origin");
  expect(unlisted.status).toBe(403);
  expect(local.status).toBe(405);
  for (const { headers } of [unlisted, local]) {
    expect(headers["access-control-allow-origin"]).toBeUndefined();
  }
});

test("a second listener on the port is told what to do about it", async () => {
  await using edge = await startHost();
  const { port } = new URL(edge.url);

  await expect(startHost({ port: Number(port) })).rejects.toMatchObject({
    code: "address_in_use",
    message: expect.stringContaining("--port"),
  });
});

/** Sends until neither the host nor the system's own buffers have taken any more for a while. */
async function fill(stream: ClientStream | undefined): Promise<void> {
  let refusals = 0;
  await waitFor(() => {
    refusals += 1;
    while (stream?.send(Buffer.alloc(64 * 1024, "x")) === true) refusals = 0;
    return refusals === 20;
  });
}

/** Cuts the connection and lets the host notice. */
async function vanish(socket: Socket, url: string): Promise<void> {
  socket.destroy();
  await once(socket, "close");
  for (let turn = 0; turn < 3; turn += 1) await sendRaw(new URL("/health", url).href);
}

/** Whether the host's end of this connection is open still. */
function isHeldByHost(url: string, socket: Socket): boolean {
  const port = Number(new URL(url).port);
  return openSockets(process.pid).some(
    ({ localPort, remotePort }) => localPort === port && remotePort === socket.localPort,
  );
}
