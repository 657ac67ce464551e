import { afterEach, expect, test } from "vitest";
import {
  callOf,
  CLIENT,
  connectHttp,
  type Connected,
} from "../../../test/support/backend/connecting.ts";
import { createRecorder } from "../../../test/support/backend/recorder.ts";
import {
  startSseBackend,
  type SseBackend,
  type SsePost,
  type SseScript,
} from "../../../test/support/backend/sse-backend.ts";
import {
  startEverythingSse,
  startSdkSseBackend,
} from "../../../test/support/backend/sdk-sse-backend.ts";
import { encodeRequest } from "../../mcp/json-rpc.ts";
import type { BackendOptions } from "../options.ts";

const cleanups: AsyncDisposable[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup[Symbol.asyncDispose]();
});

interface Rig extends Connected {
  readonly backend: SseBackend;
}

async function connectTo(script: SseScript, options: Partial<BackendOptions> = {}): Promise<Rig> {
  const backend = await startSseBackend(script);
  cleanups.push(backend);
  const connected = await connectHttp(backend.url, { transport: "sse", ...options });
  cleanups.push(connected);
  return { ...connected, backend };
}

/** Accepts a call and leaves its answer to the test. */
function holding(): { readonly reply: (post: SsePost) => void; readonly posts: SsePost[] } {
  const posts: SsePost[] = [];
  return {
    posts,
    reply: (post) => {
      post.accept();
      posts.push(post);
    },
  };
}

function progressOf(token: string | number, progress = 1): object {
  const params = { progressToken: token, progress };
  return { jsonrpc: "2.0", method: "notifications/progress", params };
}

// [spec:transport-51]
test("the stream is opened first and messages go where it says", async () => {
  const { connection, backend } = await connectTo(
    { revision: "2025-06-18" },
    { headers: { "X-Key": "k" } },
  );
  const recorder = createRecorder();

  connection.forward(callOf(7), recorder);
  await recorder.answered;

  const [stream, initialize, initialized, call] = backend.seen;
  expect(stream?.method).toBe("GET");
  expect(stream?.headers).toMatchObject({ accept: "text/event-stream", "x-key": "k" });
  expect(stream?.headers).not.toHaveProperty("content-type");
  expect(initialize?.message).toMatchObject({
    method: "initialize",
    params: { protocolVersion: "2025-11-25", clientInfo: CLIENT.info },
  });
  expect(initialize?.headers).not.toHaveProperty("mcp-protocol-version");
  expect(initialized?.message["method"]).toBe("notifications/initialized");
  expect(call?.headers).toMatchObject({
    "content-type": "application/json",
    "mcp-protocol-version": "2025-06-18",
    "x-key": "k",
  });
  expect(connection.backendSessionId).toBeUndefined();
});

test("the request's bytes go out and the answer's bytes come in as they are", async () => {
  const answer = '{ "id":1, "jsonrpc":"2.0","result":{"big":123456789012345678901}}';
  const { connection, backend } = await connectTo({
    on: {
      "tools/call": (post) => {
        post.accept();
        post.stream.write(`data: ${answer}\n\n`);
      },
    },
  });
  const bytes = Buffer.from('{"jsonrpc":"2.0","id":1,"method":"tools/call" , "params":{"n":1e99}}');
  const recorder = createRecorder();

  connection.forward({ id: 1, method: "tools/call", bytes }, recorder);

  expect((await recorder.answered).bytes.toString()).toBe(answer);
  expect(backend.of("tools/call")[0]?.text).toBe(bytes.toString());
});

test("answers find their calls by id, whichever comes first", async () => {
  const calls = holding();
  const { connection } = await connectTo({ on: { "tools/call": calls.reply } });
  const numbered = createRecorder();
  const named = createRecorder();
  connection.forward(callOf(1), numbered);
  connection.forward(callOf("1"), named);
  await expect.poll(() => calls.posts.length).toBe(2);

  for (const post of calls.posts.toReversed()) post.answer({ for: post.seen.message["id"] });

  expect((await numbered.answered).message.result).toEqual({ for: 1 });
  expect((await named.answered).message.result).toEqual({ for: "1" });
});

test("an id that is in flight is refused", async () => {
  const calls = holding();
  const { connection, backend } = await connectTo({ on: { "tools/call": calls.reply } });
  connection.forward(callOf(1), createRecorder());
  const second = createRecorder();

  connection.forward(callOf(1), second);

  expect(await second.ended).toMatchObject({
    error: { code: "invalid_request", executionState: "not_executed" },
  });
  await expect.poll(() => backend.of("tools/call").length).toBe(1);
});

test("progress finds its call and everything else belongs to none", async () => {
  const { connection, heard } = await connectTo({
    on: {
      "tools/call": (post) => {
        post.accept();
        post.say(progressOf("mine"));
        post.say(progressOf("another's"));
        post.say({ jsonrpc: "2.0", id: 5, method: "elicitation/create", params: {} });
        post.say({ jsonrpc: "2.0", method: "notifications/tools/list_changed" });
        post.stream.write("event: other\ndata: {}\n\nid: 3\nretry: 99999999999\ndata:\n\n");
        post.answer();
      },
    },
  });
  const recorder = createRecorder();

  connection.forward(callOf(1, "echo", { progressToken: "mine" }), recorder);
  await recorder.answered;

  expect(recorder.events.map(({ message }) => message.params?.["progressToken"])).toEqual(["mine"]);
  expect(heard.messages.map(({ message }) => message.method)).toEqual([
    "notifications/progress",
    "elicitation/create",
    "notifications/tools/list_changed",
  ]);
});

test("an answer that comes before its request is accepted is the answer", async () => {
  const { connection } = await connectTo({
    on: {
      "tools/call": (post) => {
        post.answer({ early: true });
      },
    },
  });
  const recorder = createRecorder();

  connection.forward(callOf(1), recorder);

  expect((await recorder.answered).message.result).toEqual({ early: true });
});

test("a request that nobody accepts is let go soon after its answer", async () => {
  const left: string[] = [];
  const { connection } = await connectTo({
    on: {
      "tools/call": (post) => {
        post.response.once("close", () => left.push("closed"));
        post.answer();
      },
    },
  });
  const recorder = createRecorder();

  connection.forward(callOf(1), recorder);
  await recorder.answered;

  await expect.poll(() => left).toEqual(["closed"]);
});

test("cancelling tells the backend and leaves the sink alone", async () => {
  const calls = holding();
  const { connection, backend } = await connectTo({ on: { "tools/call": calls.reply } });
  const recorder = createRecorder();
  const exchange = connection.forward(callOf(1), recorder);
  await expect.poll(() => calls.posts.length).toBe(1);

  exchange.cancel("enough");
  calls.posts[0]?.answer();
  await expect.poll(() => backend.of("notifications/cancelled").length).toBe(1);

  expect(backend.of("notifications/cancelled")[0]?.message["params"]).toEqual({
    requestId: 1,
    reason: "enough",
  });
  expect(recorder.endings).toEqual([]);
});

test("a call that is cancelled before anything of it left never reaches the backend", async () => {
  const { connection, backend } = await connectTo({});
  const recorder = createRecorder();

  connection.forward(callOf(1), recorder).cancel("never mind");
  await connection.listCapabilities(new AbortController().signal);
  const later = createRecorder();
  connection.forward(callOf(2), later);
  await later.answered;

  expect(backend.of("tools/call").map(({ message }) => message["id"])).toEqual([2]);
  expect(backend.of("notifications/cancelled")).toEqual([]);
});

test("a call that is not answered in time fails, and the backend is told", async () => {
  const calls = holding();
  const { connection, backend } = await connectTo({ on: { "tools/call": calls.reply } });
  const recorder = createRecorder();

  connection.forward(callOf(1, "echo", { timeoutMs: 100 }), recorder);

  expect(await recorder.ended).toMatchObject({
    error: { code: "backend_timeout", executionState: "unknown" },
  });
  await expect.poll(() => backend.of("notifications/cancelled").length).toBe(1);
});

test("a stream on which not even a ping is answered ends after a call that was not, and its calls with it", async () => {
  const calls = holding();
  const { connection, heard, backend } = await connectTo(
    { on: { "tools/call": calls.reply, ping: ({ accept }) => accept() } },
    { timeouts: { callMs: 300 } },
  );
  const first = createRecorder();
  const long = createRecorder();
  connection.forward(callOf(1), first);
  connection.forward(callOf(2, "echo", { timeoutMs: 60_000 }), long);

  expect(await first.ended).toMatchObject({ error: { code: "backend_timeout" } });
  expect(await long.ended).toMatchObject({
    error: { code: "backend_closed", executionState: "unknown" },
  });
  expect(heard.losses).toMatchObject([
    { message: expect.stringContaining("nothing comes on its event stream any more") },
  ]);
  await expect.poll(() => backend.streams.size).toBe(0);
});

test("a stream on which the ping is answered lives on after a call that was not", async () => {
  const calls = holding();
  const { connection, heard, backend } = await connectTo(
    { on: { "tools/call": calls.reply } },
    { timeouts: { callMs: 200 } },
  );
  const first = createRecorder();
  const long = createRecorder();
  connection.forward(callOf(1), first);
  await first.ended;
  await expect.poll(() => backend.of("ping").length).toBe(1);

  connection.forward(callOf(2, "echo", { timeoutMs: 800 }), long);

  expect(await long.ended).toMatchObject({ error: { code: "backend_timeout" } });
  expect(heard.losses).toEqual([]);
});

test("the clock stands still while the backend waits for the client", async () => {
  const calls = holding();
  const { connection, heard } = await connectTo(
    { on: { "tools/call": calls.reply } },
    { timeouts: { clientAnswerMs: 5_000 } },
  );
  const recorder = createRecorder();
  const slow = createRecorder();
  connection.forward(callOf(1, "echo", { timeoutMs: 400 }), recorder);
  await expect.poll(() => calls.posts.length).toBe(1);
  calls.posts[0]?.say({ jsonrpc: "2.0", id: "q", method: "elicitation/create", params: {} });
  await expect.poll(() => heard.messages.length).toBe(1);
  connection.forward(callOf(2, "echo", { timeoutMs: 600 }), slow);

  // The later call is the measure of time: it ends after the first one would have.
  await slow.ended;
  const endingsWhileWaiting = [...recorder.endings];
  await connection.send(Buffer.from('{"jsonrpc":"2.0","id":"q","result":{"action":"accept"}}'));
  calls.posts[0]?.answer();

  expect(endingsWhileWaiting).toEqual([]);
  expect(await recorder.ended).toHaveProperty("answer");
});

test("the clock runs again once the client has answered", async () => {
  const calls = holding();
  const { connection, heard } = await connectTo(
    { on: { "tools/call": calls.reply } },
    { timeouts: { clientAnswerMs: 15_000 } },
  );
  const recorder = createRecorder();
  connection.forward(callOf(1, "echo", { timeoutMs: 200 }), recorder);
  await expect.poll(() => calls.posts.length).toBe(1);
  calls.posts[0]?.say({ jsonrpc: "2.0", id: "q", method: "elicitation/create", params: {} });
  await expect.poll(() => heard.messages.length).toBe(1);

  await connection.send(Buffer.from('{"jsonrpc":"2.0","id":"q","result":{"action":"accept"}}'));

  expect(await recorder.ended).toMatchObject({ error: { code: "backend_timeout" } });
});

test("a connection outlives the time to start", async () => {
  const calls = holding();
  const { connection, heard } = await connectTo(
    { on: { "tools/call": calls.reply } },
    { timeouts: { startMs: 300 } },
  );
  const recorder = createRecorder();

  connection.forward(callOf(1, "echo", { timeoutMs: 700 }), recorder);

  expect(await recorder.ended).toMatchObject({ error: { code: "backend_timeout" } });
  expect(heard.losses).toEqual([]);
});

test("a slow reader stops the stream, and gets everything once it asks for more", async () => {
  const filler = "x".repeat(100_000);
  const total = 200;
  let written = 0;
  const { connection } = await connectTo({
    on: {
      "tools/call": async ({ accept, stream, answer }) => {
        accept();
        for (; written < total; written += 1) {
          const params = { progressToken: "t", progress: written, message: filler };
          const event = { jsonrpc: "2.0", method: "notifications/progress", params };
          const isTaken = stream.write(`data: ${JSON.stringify(event)}\n\n`);
          // Each event waits for the one before it: that is what is tested.
          // oxlint-disable-next-line no-await-in-loop
          if (!isTaken) await new Promise((resolve) => stream.once("drain", resolve));
        }
        answer();
      },
    },
  });
  const recorder = createRecorder();
  recorder.wantsMore = false;
  const exchange = connection.forward(callOf(1, "echo", { progressToken: "t" }), recorder);
  await expect.poll(() => recorder.events.length).toBeGreaterThan(0);
  let seenWritten = -1;
  await expect
    .poll(() => {
      const isStill = seenWritten === written;
      seenWritten = written;
      return isStill;
    })
    .toBe(true);
  const eventsWhilePaused = recorder.events.length;

  recorder.wantsMore = true;
  exchange.resume();
  await recorder.answered;

  expect(eventsWhilePaused).toBeLessThan(total / 2);
  expect(recorder.events).toHaveLength(total);
});

test("a stream that ends loses the connection and what is under way on it", async () => {
  const calls = holding();
  const { connection, heard, backend } = await connectTo({ on: { "tools/call": calls.reply } });
  const recorder = createRecorder();
  connection.forward(callOf(1), recorder);
  await expect.poll(() => calls.posts.length).toBe(1);

  backend.streams.get(1)?.end();

  expect(await recorder.ended).toMatchObject({
    error: { code: "backend_closed", executionState: "unknown", backend: "b1" },
  });
  expect(heard.losses.map(({ code }) => code)).toEqual(["backend_closed"]);
  const late = createRecorder();
  connection.forward(callOf(2), late);
  expect(await late.ended).toMatchObject({
    error: { code: "backend_closed", executionState: "not_executed" },
  });
  expect(backend.of("GET")).toHaveLength(1);
});

test("a stream that breaks off does the same", async () => {
  const { heard, backend } = await connectTo({});

  backend.streams.get(1)?.destroy();

  await expect.poll(() => heard.losses.length).toBe(1);
  expect(heard.losses[0]).toMatchObject({ code: "backend_closed", executionState: "unknown" });
});

test("a backend that has forgotten the session loses the connection, and the call may be sent again", async () => {
  const calls = holding();
  const { connection, heard } = await connectTo({
    on: {
      "tools/call": calls.reply,
      "prompts/get": ({ response }) => void response.writeHead(404).end("no session"),
    },
  });
  const accepted = createRecorder();
  const refused = createRecorder();
  connection.forward(callOf(1), accepted);
  await expect.poll(() => calls.posts.length).toBe(1);

  const bytes = encodeRequest(2, "prompts/get");
  connection.forward({ id: 2, method: "prompts/get", bytes }, refused);

  expect(await refused.ended).toMatchObject({
    error: { code: "backend_session_lost", executionState: "not_executed" },
  });
  expect(await accepted.ended).toMatchObject({ error: { executionState: "unknown" } });
  expect(heard.losses).toHaveLength(1);
});

test("disposing ends calls in flight and the stream, once, and loses nothing", async () => {
  const calls = holding();
  const { connection, heard, backend } = await connectTo({ on: { "tools/call": calls.reply } });
  const recorder = createRecorder();
  connection.forward(callOf(1), recorder);
  await expect.poll(() => calls.posts.length).toBe(1);

  await connection[Symbol.asyncDispose]();
  await connection[Symbol.asyncDispose]();

  expect(recorder.endings).toMatchObject([
    { error: { code: "session_closed", executionState: "unknown" } },
  ]);
  await expect.poll(() => backend.streams.size).toBe(0);
  expect(heard.losses).toEqual([]);
  await expect(connection.send(Buffer.from("{}"))).rejects.toMatchObject({
    code: "session_closed",
    executionState: "not_executed",
  });
});

test("disposing leaves no socket behind", async () => {
  const { connection, http, backend } = await connectTo({});

  await connection[Symbol.asyncDispose]();
  await http[Symbol.asyncDispose]();

  await expect.poll(() => backend.sockets.size).toBe(0);
});

test("two connections have a stream and a session each", async () => {
  const first = await connectTo({});
  const second = await connectHttp(first.backend.url, { transport: "sse" });
  cleanups.push(second);

  await first.connection[Symbol.asyncDispose]();
  await expect.poll(() => [...first.backend.streams.keys()]).toEqual([2]);
  const recorder = createRecorder();
  second.connection.forward(callOf(1), recorder);

  expect(await recorder.ended).toHaveProperty("answer");
});

test("a message that the backend refuses rejects, one that it accepts does not", async () => {
  const { connection } = await connectTo({
    on: { "notifications/no": ({ response }) => void response.writeHead(400).end() },
  });

  const refusing = connection.send(Buffer.from('{"jsonrpc":"2.0","method":"notifications/no"}'));
  const accepting = connection.send(Buffer.from('{"jsonrpc":"2.0","method":"notifications/yes"}'));

  await expect(refusing).rejects.toMatchObject({ code: "backend_http_4xx" });
  await expect(accepting).resolves.toBeUndefined();
});

test("server-everything over HTTP+SSE lists its tools, answers and reports progress", async () => {
  const everything = await startEverythingSse();
  cleanups.push(everything);
  const connected = await connectHttp(everything.url, { transport: "sse" });
  cleanups.push(connected);
  const params = {
    name: "trigger-long-running-operation",
    arguments: { duration: 0.2, steps: 2 },
    _meta: { progressToken: "p" },
  };
  const bytes = encodeRequest(1, "tools/call", params);
  const recorder = createRecorder();

  connected.connection.forward(
    { id: 1, method: "tools/call", bytes, progressToken: "p" },
    recorder,
  );
  const answer = await recorder.answered;

  expect(connected.capabilities.tools.map(({ key }) => key)).toContain("echo");
  expect(answer.message.result).toMatchObject({ content: [{ type: "text" }] });
  expect(recorder.events.map(({ message }) => message.params?.["progress"])).toEqual([1, 2]);
});

test("a session of a server of the official SDK ends with its connection", async () => {
  const backend = await startSdkSseBackend();
  cleanups.push(backend);
  const connected = await connectHttp(backend.url, { transport: "sse" });
  cleanups.push(connected);
  const sessionsWhileOpen = backend.openSessions.size;

  await connected.connection[Symbol.asyncDispose]();

  expect(sessionsWhileOpen).toBe(1);
  await expect.poll(() => backend.openSessions.size).toBe(0);
});
