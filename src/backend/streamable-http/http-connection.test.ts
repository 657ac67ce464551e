import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { expect, test } from "vitest";
import { callOf, CLIENT, connectTo } from "../../../test/support/backend/connecting.ts";
import {
  resultFor,
  sendEvent,
  sendJson,
  startEvents,
  type Reply,
} from "../../../test/support/backend/http-backend.ts";
import { createRecorder } from "../../../test/support/backend/recorder.ts";
import { VmcpError } from "../../domain/errors.ts";

/** Answers nothing until told to; `opened` resolves with each response that waits. */
function holding(): { readonly reply: Reply; readonly opened: () => Promise<ServerResponse> } {
  const waiting: ServerResponse[] = [];
  return {
    reply: (response) => {
      waiting.push(response);
    },
    opened: async () => {
      await expect.poll(() => waiting.length).toBeGreaterThan(0);
      const [response] = waiting.splice(0, 1);
      if (response === undefined) throw new Error("nothing waits");
      return response;
    },
  };
}

const STREAM: Reply = (response) => startEvents(response);

function progressOf(token: string | number, progress = 1): object {
  return {
    jsonrpc: "2.0",
    method: "notifications/progress",
    params: { progressToken: token, progress },
  };
}

test("initialize speaks in the client's words and announces the session from then on", async () => {
  const { connection, backend } = await connectTo(
    { sessionId: "s-1", revision: "2025-06-18" },
    { headers: { "X-Key": "k" } },
  );
  const recorder = createRecorder();

  connection.forward(callOf(7), recorder);
  await recorder.answered;

  const [initialize, initialized, call] = backend.seen;
  expect(initialize?.message).toMatchObject({
    method: "initialize",
    params: {
      protocolVersion: "2025-11-25",
      capabilities: CLIENT.capabilities,
      clientInfo: CLIENT.info,
    },
  });
  expect(String(initialize?.message["id"])).toMatch(/^vmcp:/);
  expect(initialize?.headers).not.toHaveProperty("mcp-session-id");
  expect(initialize?.headers).not.toHaveProperty("mcp-protocol-version");
  expect(initialized?.message["method"]).toBe("notifications/initialized");
  for (const later of [initialized, call]) {
    expect(later?.headers).toMatchObject({
      "mcp-session-id": "s-1",
      "mcp-protocol-version": "2025-06-18",
      "accept-encoding": "identity",
      accept: "application/json, text/event-stream",
      "content-type": "application/json",
      "x-key": "k",
    });
  }
  expect(connection.backendSessionId).toBe("s-1");
});

test("a backend without sessions and of an old revision gets neither header", async () => {
  const { connection, backend } = await connectTo({ revision: "2025-03-26" });
  const recorder = createRecorder();

  connection.forward(callOf(7), recorder);
  await recorder.answered;
  await connection[Symbol.asyncDispose]();

  const headers = backend.seen.at(-1)?.headers;
  expect(headers).not.toHaveProperty("mcp-session-id");
  expect(headers).not.toHaveProperty("mcp-protocol-version");
  expect(backend.of("DELETE")).toEqual([]);
});

test("the request's bytes go out and the answer's bytes come in as they are", async () => {
  const answer =
    '{ "id":1e0, "jsonrpc":"2.0","result":{"big":123456789012345678901,"__proto__":1}}';
  const { connection, backend } = await connectTo({
    on: { "tools/call": (response) => sendJson(response, answer) },
  });
  const bytes = Buffer.from(
    '{"jsonrpc":"2.0","id":1,"method":"tools/call" , "params":{"n":1e999}}',
  );
  const recorder = createRecorder();

  connection.forward({ id: 1, method: "tools/call", bytes }, recorder);

  expect((await recorder.answered).bytes.toString()).toBe(answer);
  expect(backend.seen.at(-1)?.text).toBe(bytes.toString());
});

test("an answer in several chunks is put together", async () => {
  const { connection } = await connectTo({
    on: {
      "tools/call": async (response, seen) => {
        response.writeHead(200, { "content-type": "application/json; charset=utf-8" });
        for (const part of JSON.stringify(resultFor(seen)).match(/.{1,10}/g) ?? []) {
          await new Promise((resolve) => {
            response.write(part, resolve);
          });
        }
        response.end();
      },
    },
  });
  const recorder = createRecorder();

  connection.forward(callOf("a"), recorder);

  expect((await recorder.answered).message).toMatchObject({ id: "a", result: { content: [] } });
});

test("what a call's stream carries arrives in order, before the answer", async () => {
  const { connection } = await connectTo({
    on: {
      "tools/call": (response, seen) => {
        startEvents(response);
        sendEvent(response, progressOf("mine", 1));
        sendEvent(response, progressOf("another's", 2));
        sendEvent(response, { jsonrpc: "2.0", id: 5, method: "elicitation/create", params: {} });
        response.write("event: other\ndata: {}\n\nid: 3\ndata:\n\n");
        sendEvent(response, resultFor(seen));
        response.end();
      },
    },
  });
  const recorder = createRecorder();

  connection.forward(callOf(1, "echo", { progressToken: "mine" }), recorder);
  await recorder.answered;

  expect(recorder.events.map(({ message }) => message.method)).toEqual([
    "notifications/progress",
    "elicitation/create",
  ]);
});

test("a batch of an old revision is read message by message", async () => {
  const { connection } = await connectTo({
    revision: "2025-03-26",
    on: {
      "tools/call": (response, seen) =>
        sendJson(response, [progressOf("t"), resultFor(seen, { content: [], n: 1 })]),
    },
  });
  const recorder = createRecorder();

  connection.forward(callOf(1, "echo", { progressToken: "t" }), recorder);
  const answer = await recorder.answered;

  expect(JSON.parse(answer.bytes.toString())).toEqual({
    jsonrpc: "2.0",
    id: 1,
    result: { content: [], n: 1 },
  });
  expect(recorder.events).toHaveLength(1);
});

test("nothing comes before forward has returned, not even a failure", async () => {
  const { connection, http } = await connectTo({});
  await http[Symbol.asyncDispose]();
  const recorder = createRecorder();

  connection.forward(callOf(1), recorder);
  const endingsAtReturn = recorder.endings.length;

  expect(endingsAtReturn).toBe(0);
  expect(await recorder.ended).toMatchObject({ error: { executionState: "not_executed" } });
});

test("cancelling breaks the request off, tells the backend and leaves the sink alone", async () => {
  const held = holding();
  const { connection, backend } = await connectTo({ on: { "tools/call": held.reply } });
  const recorder = createRecorder();
  const exchange = connection.forward(callOf(9), recorder);
  const response = await held.opened();

  exchange.cancel("the client changed its mind");
  exchange.cancel("again");

  await once(response, "close");
  await expect.poll(() => backend.of("notifications/cancelled").length).toBe(1);
  expect(backend.of("notifications/cancelled")[0]?.message["params"]).toEqual({
    requestId: 9,
    reason: "the client changed its mind",
  });
  expect(recorder.endings).toEqual([]);
});

test("a call that is cancelled before anything of it left never reaches the backend", async () => {
  const { connection, backend } = await connectTo({});
  const recorder = createRecorder();

  connection.forward(callOf(9), recorder).cancel("never mind");
  const after = createRecorder();
  connection.forward(callOf(10), after);
  await after.answered;

  expect(backend.of("tools/call").map(({ message }) => message["id"])).toEqual([10]);
  expect(backend.of("notifications/cancelled")).toEqual([]);
  expect(recorder.endings).toEqual([]);
});

test("a stream that goes on after the answer is closed before long", async () => {
  const responses: ServerResponse[] = [];
  const { connection } = await connectTo({
    on: {
      "tools/call": (response, seen) => {
        responses.push(response);
        startEvents(response);
        sendEvent(response, resultFor(seen));
      },
    },
  });
  const recorder = createRecorder();

  connection.forward(callOf(1), recorder);
  await recorder.answered;

  await expect.poll(() => responses[0]?.destroyed).toBe(true);
});

test("a call that is not answered in time fails, and the backend is told", async () => {
  const held = holding();
  const { connection, backend } = await connectTo({ on: { "tools/call": held.reply } });
  const recorder = createRecorder();

  connection.forward(callOf(9, "echo", { timeoutMs: 200 }), recorder);
  const response = await held.opened();
  const ending = await recorder.ended;

  expect(ending).toMatchObject({ error: { code: "backend_timeout", executionState: "unknown" } });
  await expect.poll(() => backend.of("notifications/cancelled").length).toBe(1);
  await expect.poll(() => response.destroyed || response.closed).toBe(true);
});

test("a body that drips for ever ends with the deadline", async () => {
  const { connection } = await connectTo({
    on: {
      "tools/call": (response) => {
        response.writeHead(200, { "content-type": "application/json" });
        const timer = setInterval(() => response.write(" "), 20);
        response.on("close", () => clearInterval(timer));
      },
    },
  });
  const recorder = createRecorder();

  connection.forward(callOf(1, "echo", { timeoutMs: 300 }), recorder);

  expect(await recorder.ended).toMatchObject({ error: { code: "backend_timeout" } });
});

test("progress keeps a call alive, but not beyond the cap", async () => {
  const { connection } = await connectTo(
    {
      on: {
        "tools/call": (response) => {
          startEvents(response);
          const timer = setInterval(() => sendEvent(response, progressOf("t")), 50);
          response.on("close", () => clearInterval(timer));
        },
      },
    },
    { timeouts: { callMs: 400, callMaxMs: 1_200 } },
  );
  const recorder = createRecorder();

  connection.forward(callOf(1, "echo", { progressToken: "t" }), recorder);
  await recorder.ended;

  // More progress than fits into one call's time without it.
  expect(recorder.events.length).toBeGreaterThan(10);
  expect(recorder.endings).toMatchObject([{ error: { code: "backend_timeout" } }]);
});

test("the clock stands still while the backend waits for the client", async () => {
  const asked = { jsonrpc: "2.0", id: "q", method: "elicitation/create", params: {} };
  const held = holding();
  const { connection } = await connectTo(
    { on: { "tools/call": held.reply } },
    { timeouts: { callMs: 1_000, clientAnswerMs: 60_000 } },
  );
  const recorder = createRecorder();
  connection.forward(callOf(1), recorder);
  const response = await held.opened();
  startEvents(response);
  sendEvent(response, asked);
  await expect.poll(() => recorder.events.length).toBe(1);

  const longerThanTheCall = callOf(2, "echo", { timeoutMs: 1_500 });
  const other = createRecorder();
  connection.forward(longerThanTheCall, other);
  const otherResponse = await held.opened();
  await other.ended;
  const endingsWhileWaiting = [...recorder.endings];
  await connection.send(Buffer.from('{"jsonrpc":"2.0","id":"q","result":{"action":"decline"}}'));

  expect(otherResponse).toBeDefined();
  expect(endingsWhileWaiting).toEqual([]);
  expect(await recorder.ended).toMatchObject({ error: { code: "backend_timeout" } });
});

test("a client that never answers ends the call in its own way", async () => {
  const { connection } = await connectTo(
    {
      on: {
        "tools/call": (response) => {
          startEvents(response);
          sendEvent(response, { jsonrpc: "2.0", id: 1, method: "roots/list" });
        },
      },
    },
    { timeouts: { clientAnswerMs: 200 } },
  );
  const recorder = createRecorder();

  connection.forward(callOf(1), recorder);

  expect(await recorder.ended).toMatchObject({
    error: { code: "client_answer_timeout", executionState: "unknown" },
  });
});

test("events of which characters come in halves are read as they were written", async () => {
  const { connection } = await connectTo({
    on: {
      "tools/call": async (response, seen) => {
        startEvents(response);
        const events = [progressOf("t", 1), progressOf("t", 2), resultFor(seen)].map((message) =>
          Buffer.from(`data: ${JSON.stringify({ ...message, ä: "🙂" })}\n\n`),
        );
        const bytes = Buffer.concat(events);
        for (let at = 0; at < bytes.length; at += 7) {
          response.write(bytes.subarray(at, at + 7));
          // oxlint-disable-next-line no-await-in-loop -- each part is to come by itself
          await new Promise((resolve) => setImmediate(resolve));
        }
        response.end();
      },
    },
  });
  const recorder = createRecorder();

  connection.forward(callOf(1, "echo", { progressToken: "t" }), recorder);

  await recorder.answered;
  expect(recorder.events).toHaveLength(2);
  for (const { message } of recorder.events) expect(message).toHaveProperty("ä", "🙂");
});

test("a slow reader pauses the backend, and gets everything once it asks for more", async () => {
  const payload = "x".repeat(10_000);
  // More than the buffers of a socket may grow to.
  const count = 4_000;
  const sent = { events: 0, isBlocked: false };
  const { connection } = await connectTo({
    on: {
      "tools/call": async (response, seen) => {
        startEvents(response);
        while (sent.events < count) {
          sent.events += 1;
          const isTaken = sendEvent(response, { ...progressOf("t", sent.events), payload });
          if (!isTaken) {
            sent.isBlocked = true;
            await once(response, "drain");
            sent.isBlocked = false;
          }
        }
        sendEvent(response, resultFor(seen));
        response.end();
      },
    },
  });
  const recorder = createRecorder();
  recorder.wantsMore = false;

  const exchange = connection.forward(callOf(1, "echo", { progressToken: "t" }), recorder);
  await expect.poll(() => recorder.events.length).toBe(1);
  // Forty megabytes take their time where others need the processors too.
  await expect.poll(() => sent.isBlocked).toBe(true);
  const seenWhilePaused = recorder.events.length;
  recorder.wantsMore = true;
  exchange.resume();
  await recorder.answered;

  expect(seenWhilePaused).toBe(1);
  expect(recorder.events).toHaveLength(count);
  const order = recorder.events.map(({ message }) => message.params?.["progress"]);
  expect(order).toEqual(Array.from({ length: count }, (_, index) => index + 1));
});

test("a reader that pauses at every event still gets them one by one", async () => {
  const { connection } = await connectTo({
    on: {
      "tools/call": (response, seen) => {
        startEvents(response);
        for (const progress of [1, 2, 3]) sendEvent(response, progressOf("t", progress));
        sendEvent(response, resultFor(seen));
        response.end();
      },
    },
  });
  const recorder = createRecorder();
  recorder.wantsMore = false;

  const exchange = connection.forward(callOf(1, "echo", { progressToken: "t" }), recorder);
  for (const count of [1, 2, 3]) {
    await expect.poll(() => recorder.events.length).toBe(count);
    expect(recorder.endings).toEqual([]);
    exchange.resume();
  }

  await recorder.answered;
});

test("long streams do not keep other calls waiting", async () => {
  const { connection, backend } = await connectTo({
    on: {
      "tools/call": (response, seen) => {
        const { name } = Object(seen.message["params"]);
        if (name === "stream") startEvents(response);
        else sendJson(response, resultFor(seen));
      },
    },
  });
  const streams = Array.from({ length: 60 }, (_, id) => {
    return connection.forward(callOf(id, "stream"), createRecorder());
  });
  await expect.poll(() => backend.of("tools/call").length).toBe(60);
  const recorder = createRecorder();

  connection.forward(callOf("quick"), recorder);
  await recorder.answered;

  for (const stream of streams) stream.cancel("done");
});

test("a lost session is reported once, and calls beside it still hear from the backend", async () => {
  const held = holding();
  const { connection, heard, backend } = await connectTo({
    sessionId: "s",
    on: { "tools/call": held.reply },
  });
  const first = createRecorder();
  const second = createRecorder();
  connection.forward(callOf(1), first);
  connection.forward(callOf(2), second);
  const responses = [await held.opened(), await held.opened()];

  responses[0]?.writeHead(404).end();
  await expect.poll(() => heard.losses.length).toBe(1);
  const disposing = connection[Symbol.asyncDispose]();
  responses[1]?.writeHead(404).end();
  await disposing;

  for (const recorder of [first, second]) {
    expect(await recorder.ended).toMatchObject({
      error: { code: "backend_session_lost", executionState: "not_executed" },
    });
  }
  expect(heard.losses).toHaveLength(1);
  expect(backend.of("DELETE")).toEqual([]);
});

test("disposing ends calls in flight and the backend session, once", async () => {
  const held = holding();
  const { connection, backend, heard } = await connectTo({
    sessionId: "s",
    on: { "tools/call": held.reply },
  });
  const recorder = createRecorder();
  connection.forward(callOf(1), recorder);
  await held.opened();

  await Promise.all([connection[Symbol.asyncDispose](), connection[Symbol.asyncDispose]()]);
  const late = createRecorder();
  connection.forward(callOf(2), late);

  expect(await recorder.ended).toMatchObject({
    error: { code: "session_closed", executionState: "unknown" },
  });
  expect(await late.ended).toMatchObject({
    error: { code: "session_closed", executionState: "not_executed" },
  });
  expect(backend.of("DELETE")).toHaveLength(1);
  expect(backend.of("DELETE")[0]?.headers).toMatchObject({ "mcp-session-id": "s" });
  expect(heard.losses).toEqual([]);
  await expect(connection.send(Buffer.from("{}"))).rejects.toMatchObject({
    code: "session_closed",
  });
});

test("a backend that does not answer DELETE does not hold up closing for long", async () => {
  const { connection } = await connectTo({ sessionId: "s", delete: () => {} });

  const closing = connection[Symbol.asyncDispose]();

  await expect(closing).resolves.toBeUndefined();
});

test("a message that the backend refuses rejects, one that it accepts does not", async () => {
  const { connection } = await connectTo({
    on: { "notifications/roots/list_changed": (response) => void response.writeHead(400).end() },
  });
  const refused = Buffer.from('{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}');

  const refusing = connection.send(refused);
  const accepting = connection.send(Buffer.from('{"jsonrpc":"2.0","id":1,"result":{}}'));

  await expect(refusing).rejects.toMatchObject({ code: "backend_http_4xx" });
  await expect(accepting).resolves.toBeUndefined();
});

test("closing leaves no socket behind", async () => {
  const { connection, http, backend } = await connectTo({ sessionId: "s", get: STREAM });
  connection.openNotifications();
  await expect.poll(() => backend.of("GET").length).toBe(1);
  const recorder = createRecorder();
  connection.forward(callOf(1), recorder);
  await recorder.answered;

  await connection[Symbol.asyncDispose]();
  await http[Symbol.asyncDispose]();

  await expect.poll(() => backend.sockets.size).toBe(0);
});

test("errors of a backend are VmcpErrors and name it", async () => {
  const { connection } = await connectTo({
    on: { "tools/call": (response) => void response.destroy() },
  });
  const recorder = createRecorder();

  connection.forward(callOf(1), recorder);

  await expect(recorder.answered).rejects.toBeInstanceOf(VmcpError);
});
