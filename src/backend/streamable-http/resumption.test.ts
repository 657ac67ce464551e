import type { ServerResponse } from "node:http";
import { expect, test } from "vitest";
import {
  callOf,
  connectHttp,
  connectTo,
  untilTestEnds,
} from "../../../test/support/backend/connecting.ts";
import {
  resultFor,
  sendEvent,
  sendJson,
  startEvents,
  type HttpScript,
  type Reply,
} from "../../../test/support/backend/http-backend.ts";
import { createRecorder } from "../../../test/support/backend/recorder.ts";
import { startPollingBackend } from "../../../test/support/backend/polling-backend.ts";
import { encodeRequest } from "../../mcp/json-rpc.ts";
import type { BackendTimeouts } from "../options.ts";

/** Short waits, so that the tests are: what the shipped ones are is tested with the position of a stream. */
const SOON = { retryMinMs: 1, retryMaxMs: 200 };

async function connectSoon(
  script: HttpScript,
  timeouts: Partial<BackendTimeouts> = {},
): ReturnType<typeof connectTo> {
  return connectTo(script, { timeouts: { ...SOON, ...timeouts } });
}

/** Numbers an event and stops: the backend wants to be asked again. */
const primeAndEnd: Reply = (response) => {
  startEvents(response);
  response.end("id: e1\nretry: 1\ndata:\n\n");
};

const NEVER_ENDING: Reply = (response) => startEvents(response);

function answerOf(id: number, result: object = { content: [] }): object {
  return { jsonrpc: "2.0", id, result };
}

function progressOf(progress: number): object {
  const params = { progressToken: "t", progress };
  return { jsonrpc: "2.0", method: "notifications/progress", params };
}

function sendNumbered(response: ServerResponse, id: string, value: object): void {
  response.write(`id: ${id}\ndata: ${JSON.stringify(value)}\n\n`);
}

test("a call whose stream the backend closes goes on by GET, and is sent only once", async () => {
  const { connection, backend } = await connectSoon({
    sessionId: "s",
    on: { "tools/call": primeAndEnd },
    get: (response) => {
      startEvents(response);
      sendNumbered(response, "e2", answerOf(1, { late: true }));
      response.end();
    },
  });
  const recorder = createRecorder();

  connection.forward(callOf(1), recorder);

  expect((await recorder.answered).message.result).toEqual({ late: true });
  expect(backend.of("tools/call")).toHaveLength(1);
  expect(backend.of("GET").map(({ headers }) => headers)).toMatchObject([
    {
      accept: "text/event-stream",
      "last-event-id": "e1",
      "mcp-session-id": "s",
      "mcp-protocol-version": "2025-11-25",
    },
  ]);
  expect(backend.of("GET")[0]?.headers).not.toHaveProperty("content-type");
});

test("each further stream goes on behind the last event that came", async () => {
  let gets = 0;
  const { connection, backend } = await connectSoon({
    on: {
      "tools/call": (response) => {
        startEvents(response);
        sendNumbered(response, "e1", progressOf(1));
        response.end();
      },
    },
    get: (response) => {
      gets += 1;
      startEvents(response);
      if (gets === 1) sendNumbered(response, "e2", progressOf(2));
      if (gets === 3) sendNumbered(response, "e3", answerOf(1));
      response.end();
    },
  });
  const recorder = createRecorder();

  connection.forward(callOf(1, "echo", { progressToken: "t" }), recorder);
  await recorder.answered;

  expect(recorder.events.map(({ message }) => message.params?.["progress"])).toEqual([1, 2]);
  expect(backend.of("GET").map(({ headers }) => headers["last-event-id"])).toEqual([
    "e1",
    "e2",
    "e2",
  ]);
});

test("a stream that breaks off goes on too, without what was cut off", async () => {
  const { connection } = await connectSoon({
    on: {
      "tools/call": (response) => {
        startEvents(response);
        response.write('id: e1\ndata:\n\nid: e2\ndata: {"jsonrpc":', () => response.destroy());
      },
    },
    get: (response, seen) => {
      startEvents(response);
      sendEvent(response, answerOf(1, { after: seen.headers["last-event-id"] }));
    },
  });
  const recorder = createRecorder();

  connection.forward(callOf(1), recorder);

  expect((await recorder.answered).message.result).toEqual({ after: "e1" });
});

test("the backend's wish for a wait is granted", async () => {
  const { connection, backend } = await connectSoon(
    {
      on: {
        "tools/call": (response) => {
          startEvents(response);
          response.end(`id: e1\nretry: 1500\ndata: ${JSON.stringify(progressOf(1))}\n\n`);
        },
        "prompts/get": () => {},
      },
      get: (response) => {
        startEvents(response);
        sendEvent(response, answerOf(1));
      },
    },
    { retryMaxMs: 60_000 },
  );
  const recorder = createRecorder();
  const measure = createRecorder();
  connection.forward(callOf(1, "echo", { progressToken: "t" }), recorder);
  await expect.poll(() => recorder.events.length).toBe(1);

  // Another call is the measure of time: it ends before the wait does.
  const bytes = encodeRequest(2, "prompts/get");
  connection.forward({ id: 2, method: "prompts/get", bytes, timeoutMs: 300 }, measure);
  await measure.ended;
  const getsBefore = backend.of("GET").length;
  await recorder.answered;

  expect(getsBefore).toBe(0);
  expect(backend.of("GET")).toHaveLength(1);
});

test.for([409, 429, 500, 503])(
  "a backend that answers %i for a while is asked again",
  async (status) => {
    let gets = 0;
    const { connection } = await connectSoon({
      on: { "tools/call": primeAndEnd },
      get: (response) => {
        gets += 1;
        if (gets < 3) response.writeHead(status).end("not now");
        else {
          startEvents(response);
          sendEvent(response, answerOf(1));
        }
      },
    });
    const recorder = createRecorder();

    connection.forward(callOf(1), recorder);

    expect(await recorder.ended).toHaveProperty("answer");
    expect(gets).toBe(3);
  },
);

test("a backend that closes the connection for a while is asked again", async () => {
  let gets = 0;
  const { connection } = await connectSoon({
    on: { "tools/call": primeAndEnd },
    get: (response) => {
      gets += 1;
      if (gets < 3) response.destroy();
      else {
        startEvents(response);
        sendEvent(response, answerOf(1));
      }
    },
  });
  const recorder = createRecorder();

  connection.forward(callOf(1), recorder);

  expect(await recorder.ended).toHaveProperty("answer");
});

test.for<readonly [string, Reply]>([
  ["has no such stream", (response) => response.writeHead(405).end()],
  ["does not know the event", (response) => response.writeHead(400).end()],
  ["refuses the credentials", (response) => response.writeHead(401).end()],
  ["redirects", (response) => response.writeHead(307, { location: "/x" }).end()],
  ["answers with something else", (response) => sendJson(response, answerOf(1))],
])("a backend that then %s leaves it unknown whether the call ran", async ([, get]) => {
  const { connection, backend, heard } = await connectSoon({
    sessionId: "s",
    on: { "tools/call": primeAndEnd },
    get,
  });
  const recorder = createRecorder();

  connection.forward(callOf(1), recorder);

  expect(await recorder.ended).toMatchObject({
    error: { code: "backend_closed", executionState: "unknown" },
  });
  expect(backend.of("GET")).toHaveLength(1);
  expect(backend.of("tools/call")).toHaveLength(1);
  expect(heard.losses).toEqual([]);
});

test("a backend that has forgotten the session meanwhile loses the connection", async () => {
  const { connection, heard } = await connectSoon({
    sessionId: "s",
    on: { "tools/call": primeAndEnd },
    get: (response) => void response.writeHead(404).end(),
  });
  const recorder = createRecorder();

  connection.forward(callOf(1), recorder);

  expect(await recorder.ended).toMatchObject({
    error: { code: "backend_closed", executionState: "unknown" },
  });
  expect(heard.losses.map(({ code }) => code)).toEqual(["backend_session_lost"]);
});

test.for<readonly [string, string]>([
  ["without ids", "data:\n\n"],
  ["whose last id no header can carry", "id: e1\ndata:\n\nid: é\ndata:\n\n"],
  ["whose id was cut off", "id: e1\ndata:"],
])("a stream %s that ends is the end of the call", async ([, events]) => {
  const { connection, backend } = await connectSoon({
    on: {
      "tools/call": (response) => {
        startEvents(response);
        response.end(events);
      },
    },
    get: NEVER_ENDING,
  });
  const recorder = createRecorder();

  connection.forward(callOf(1), recorder);

  expect(await recorder.ended).toMatchObject({
    error: { code: "backend_closed", executionState: "unknown" },
  });
  expect(backend.of("GET")).toEqual([]);
});

test("the time of the call goes on while it waits for another stream", async () => {
  const { connection, backend } = await connectSoon({
    on: { "tools/call": primeAndEnd },
    get: primeAndEnd,
  });
  const recorder = createRecorder();

  connection.forward(callOf(1, "echo", { timeoutMs: 700 }), recorder);

  expect(await recorder.ended).toMatchObject({
    error: { code: "backend_timeout", executionState: "unknown" },
  });
  expect(backend.of("GET").length).toBeGreaterThan(1);
  await expect.poll(() => backend.of("notifications/cancelled").length).toBe(1);
});

test("a call that is cancelled between two streams asks for no other", async () => {
  const { connection, backend } = await connectSoon(
    {
      on: {
        "tools/call": (response) => {
          startEvents(response);
          response.end(`id: e1\ndata: ${JSON.stringify(progressOf(1))}\n\n`);
        },
        "prompts/get": () => {},
      },
      get: NEVER_ENDING,
    },
    { retryMinMs: 300, retryMaxMs: 300 },
  );
  const recorder = createRecorder();
  const exchange = connection.forward(callOf(1, "echo", { progressToken: "t" }), recorder);
  await expect.poll(() => recorder.events.length).toBe(1);

  exchange.cancel("enough");
  // Another call is the measure of time: it ends after the wait for a stream would have.
  const other = createRecorder();
  const bytes = encodeRequest(2, "prompts/get");
  connection.forward({ id: 2, method: "prompts/get", bytes, timeoutMs: 900 }, other);
  await other.ended;

  expect(recorder.endings).toEqual([]);
  expect(backend.of("notifications/cancelled")[0]?.message["params"]).toMatchObject({
    requestId: 1,
  });
  expect(backend.of("GET")).toEqual([]);
});

test("a call that is cancelled while it goes on by GET closes that stream", async () => {
  const closed: string[] = [];
  const { connection, backend } = await connectSoon({
    on: { "tools/call": primeAndEnd },
    get: (response) => {
      response.once("close", () => closed.push("closed"));
      startEvents(response);
    },
  });
  const recorder = createRecorder();
  const exchange = connection.forward(callOf(1), recorder);
  await expect.poll(() => backend.of("GET").length).toBe(1);

  exchange.cancel("enough");

  await expect.poll(() => closed).toEqual(["closed"]);
  expect(recorder.endings).toEqual([]);
});

test("closing the connection between two streams ends the call", async () => {
  const { connection, backend } = await connectSoon(
    { on: { "tools/call": primeAndEnd } },
    { retryMinMs: 5_000, retryMaxMs: 5_000 },
  );
  const recorder = createRecorder();
  connection.forward(callOf(1), recorder);
  await expect.poll(() => backend.of("tools/call").length).toBe(1);

  await connection[Symbol.asyncDispose]();

  expect(await recorder.ended).toMatchObject({
    error: { code: "session_closed", executionState: "unknown" },
  });
});

test("a reader that is slow across the break loses no event and gets none twice", async () => {
  const { connection, backend } = await connectSoon({
    on: {
      "tools/call": (response) => {
        startEvents(response);
        const events = [1, 2, 3].map(
          (n) => `id: e${n}\ndata: ${JSON.stringify(progressOf(n))}\n\n`,
        );
        response.write(events.join(""), () => response.destroy());
      },
    },
    get: (response) => {
      startEvents(response);
      sendNumbered(response, "e4", progressOf(4));
      sendNumbered(response, "e5", answerOf(1));
    },
  });
  const recorder = createRecorder();
  recorder.wantsMore = false;
  const exchange = connection.forward(callOf(1, "echo", { progressToken: "t" }), recorder);
  await expect.poll(() => recorder.events.length).toBe(1);

  recorder.wantsMore = true;
  exchange.resume();
  await recorder.answered;

  expect(recorder.events.map(({ message }) => message.params?.["progress"])).toEqual([1, 2, 3, 4]);
  expect(backend.of("GET").map(({ headers }) => headers["last-event-id"])).toEqual(["e3"]);
});

test("an answer without a stream is not affected", async () => {
  const { connection, backend } = await connectSoon({
    on: { "tools/call": (response, seen) => sendJson(response, resultFor(seen)) },
  });
  const recorder = createRecorder();

  connection.forward(callOf(1), recorder);
  await recorder.answered;

  expect(backend.of("GET")).toEqual([]);
});

test("a server of the official SDK that closes a call's stream is heard to its end", async () => {
  const backend = untilTestEnds(await startPollingBackend());
  const connected = untilTestEnds(await connectHttp(backend.url, { timeouts: SOON }));
  const params = { name: "poll", arguments: {}, _meta: { progressToken: "t" } };
  const bytes = encodeRequest(1, "tools/call", params);
  const recorder = createRecorder();

  connected.connection.forward(
    { id: 1, method: "tools/call", bytes, progressToken: "t" },
    recorder,
  );

  expect((await recorder.answered).message.result).toMatchObject({ content: [{ text: "done" }] });
  expect(recorder.events.map(({ message }) => message.params?.["progress"])).toEqual([1, 2]);
  expect(backend.runs).toBe(1);
  expect(backend.resumptions).toBeGreaterThan(0);
});
