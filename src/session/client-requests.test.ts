import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ANONYMOUS } from "../domain/identity.ts";
import { parseSessionId } from "../domain/ids.ts";
import type { JsonObject } from "../domain/json.ts";
import { SILENT_LOGGER } from "../domain/logger.ts";
import type { BackendMessage } from "../mcp/exchange.ts";
import {
  DEFAULT_MESSAGE_LIMITS,
  parseInbound,
  type InboundResponse,
} from "../mcp/inbound-message.ts";
import { fakeBackend, message, type FakeConnection } from "../../test/support/fake-backends.ts";
import { ClientRequests } from "./client-requests.ts";

const ANSWER_TIMEOUT_MS = 60_000;
const MAX_PENDING = 8;
const ALL = { sampling: {}, elicitation: {}, roots: {} };

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

function requestsFor(clientCapabilities: JsonObject = ALL, told: unknown[] = []): ClientRequests {
  return new ClientRequests({
    client: { revision: "2025-11-25", capabilities: clientCapabilities },
    logger: SILENT_LOGGER,
    answerTimeoutMs: () => ANSWER_TIMEOUT_MS,
    forBackend: (_backend, answer) => answer,
    tellClient: (bytes) => void told.push(JSON.parse(bytes.toString())),
  });
}

async function connectionTo(name: string): Promise<FakeConnection> {
  const backend = fakeBackend(name);
  await backend.connect(
    {
      sessionId: parseSessionId("s"),
      identity: ANONYMOUS,
      client: { revision: "2025-11-25", capabilities: ALL, info: {} },
      listener: { unsolicited() {}, lost() {} },
    },
    new AbortController().signal,
  );
  const [connection] = backend.connections;
  if (connection === undefined) throw new Error("not connected");
  return connection;
}

function sampling(id: string | number = 1): BackendMessage {
  return message({ jsonrpc: "2.0", id, method: "sampling/createMessage", params: { n: 1 } });
}

function samplingWithToken(progressToken: string): BackendMessage {
  const params = { _meta: { progressToken } };
  return message({ jsonrpc: "2.0", id: 1, method: "sampling/createMessage", params });
}

function cancellationOf(requestId: number): BackendMessage {
  const params = { requestId };
  return message({ jsonrpc: "2.0", method: "notifications/cancelled", params });
}

function answerTo(request: BackendMessage | undefined, member = '"result":{"ok":true}') {
  const text = `{"jsonrpc":"2.0","id":${JSON.stringify(request?.message.id)},${member}}`;
  // The text has the shape of an answer.
  return parseInbound(Buffer.from(text), DEFAULT_MESSAGE_LIMITS) as InboundResponse;
}

function sentBy(connection: FakeConnection): readonly unknown[] {
  return connection.sent.map((bytes) => JSON.parse(bytes.toString()));
}

test("two backends may use one id: each gets its own answer, under the id that it knows", async () => {
  const requests = requestsFor();
  const a = await connectionTo("a");
  const b = await connectionTo("b");
  const ofA = requests.accept(a, sampling(7));
  const ofB = requests.accept(b, sampling(7));

  requests.answer(answerTo(ofB, '"result":{"for":"b"}'));
  requests.answer(answerTo(ofA, '"error":{"code":-1,"message":"a"}'));

  expect(ofA?.message.id).not.toBe(ofB?.message.id);
  expect(sentBy(a)).toEqual([{ jsonrpc: "2.0", id: 7, error: { code: -1, message: "a" } }]);
  expect(sentBy(b)).toEqual([{ jsonrpc: "2.0", id: 7, result: { for: "b" } }]);
  expect(requests.pendingCount).toBe(0);
});

test("only the id changes: all other bytes of request and answer pass as they are", async () => {
  const requests = requestsFor();
  const a = await connectionTo("a");
  const text =
    '{ "method":"sampling/createMessage","params":{"n":1.0,"id":5}, "id" : 9007199254740993}';
  const parsed = { jsonrpc: "2.0" as const, id: 9, method: "sampling/createMessage" };

  const forClient = requests.accept(a, { bytes: Buffer.from(text), message: parsed });
  requests.answer(answerTo(forClient, '"result":{"big":12345678901234567890}'));

  const idJson = JSON.stringify(forClient?.message.id);
  expect(forClient?.bytes.toString()).toBe(text.replace("9007199254740993", idJson));
  expect(a.sent[0]?.toString()).toBe(
    '{"jsonrpc":"2.0","id":9007199254740993,"result":{"big":12345678901234567890}}',
  );
});

test("context that the client never offered is not asked of it, however often it is asked for", async () => {
  const requests = requestsFor();
  const a = await connectionTo("a");
  const text =
    '{"jsonrpc":"2.0","id":9,"method":"sampling/createMessage","params":{"includeContext":"none","n":1.0,"includeContext":"allServers"}}';
  const asked = { bytes: Buffer.from(text), message: JSON.parse(text) };

  const forClient = requests.accept(a, asked);

  const id = forClient?.message.id;
  expect(forClient?.bytes.toString()).toBe(
    `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"method":"sampling/createMessage","params":{"n":1.0}}`,
  );
  expect(forClient?.message.params).toEqual({ n: 1 });
});

describe("an answer", () => {
  test("counts once", async () => {
    const requests = requestsFor();
    const a = await connectionTo("a");
    const asked = requests.accept(a, sampling());

    const outcomes = [requests.answer(answerTo(asked)), requests.answer(answerTo(asked))];

    expect(outcomes).toEqual([true, false]);
    expect(a.sent).toHaveLength(1);
  });

  test.for(["vmcp:999", "__proto__", 1, 0])(
    "to %j, which nobody asked, goes nowhere",
    async (id) => {
      const requests = requestsFor();
      const a = await connectionTo("a");
      requests.accept(a, sampling(1));

      const wasTaken = requests.answer(answerTo(message({ jsonrpc: "2.0", id })));

      expect(wasTaken).toBe(false);
      expect(a.sent).toEqual([]);
      expect(requests.pendingCount).toBe(1);
    },
  );
});

describe("the backend is answered at once", () => {
  test("with an empty result for a ping", async () => {
    const a = await connectionTo("a");

    const forClient = requestsFor({}).accept(a, message({ jsonrpc: "2.0", id: 3, method: "ping" }));

    expect(forClient).toBeUndefined();
    expect(sentBy(a)).toEqual([{ jsonrpc: "2.0", id: 3, result: {} }]);
  });

  test.for([
    "sampling/createMessage",
    "elicitation/create",
    "roots/list",
    "tools/list",
    "toString",
  ])("with −32601 for %s, which the client did not declare", async (method) => {
    const a = await connectionTo("a");
    const requests = requestsFor({ constructor: {} });

    const forClient = requests.accept(a, message({ jsonrpc: "2.0", id: 3, method }));

    expect(forClient).toBeUndefined();
    expect(sentBy(a)).toMatchObject([{ id: 3, error: { code: -32_601 } }]);
    expect(requests.pendingCount).toBe(0);
  });

  test.for<[string, JsonObject, JsonObject, boolean]>([
    ["elicitation/create", { elicitation: {} }, {}, true],
    ["elicitation/create", { elicitation: {} }, { mode: "form" }, true],
    ["elicitation/create", { elicitation: {} }, { mode: "url" }, false],
    ["elicitation/create", { elicitation: { url: {} } }, { mode: "url" }, true],
    ["elicitation/create", { elicitation: { url: {} } }, { mode: "form" }, false],
    ["elicitation/create", { elicitation: { form: {}, url: {} } }, { mode: "other" }, false],
    ["sampling/createMessage", { sampling: {} }, { tools: [] }, false],
    ["sampling/createMessage", { sampling: { tools: {} } }, { tools: [] }, true],
  ])(
    "unless the client can do what %s asks: declared %j, asked %j",
    async ([method, declared, params, isPassedOn]) => {
      const a = await connectionTo("a");
      const asked = message({ jsonrpc: "2.0", id: 3, method, params });

      const forClient = requestsFor(declared).accept(a, asked);

      expect(forClient !== undefined).toBe(isPassedOn);
      expect(sentBy(a).length).toBe(isPassedOn ? 0 : 1);
    },
  );

  test("with a refusal when the client has too many of it to answer, until one is answered", async () => {
    const requests = requestsFor();
    const a = await connectionTo("a");
    const b = await connectionTo("b");
    const asked = Array.from({ length: MAX_PENDING }, (_value, id) =>
      requests.accept(a, sampling(id)),
    );

    const refused = requests.accept(a, sampling(99));
    const ofAnother = requests.accept(b, sampling(99));
    requests.answer(answerTo(asked[0]));
    const admitted = requests.accept(a, sampling(100));

    expect(refused).toBeUndefined();
    expect(sentBy(a)[0]).toMatchObject({ id: 99, error: { code: -32_603 } });
    expect(ofAnother).toBeDefined();
    expect(admitted).toBeDefined();
  });
});

describe("a backend that takes back what it asked", () => {
  test("does so under the id that the client knows, and gets no answer any more", async () => {
    const requests = requestsFor();
    const a = await connectionTo("a");
    const asked = requests.accept(a, sampling(7));

    const forClient = requests.withdraw(a, cancellationOf(7));

    expect(JSON.parse(forClient?.bytes.toString() ?? "")).toMatchObject({
      params: { requestId: asked?.message.id },
    });
    expect(requests.answer(answerTo(asked))).toBe(false);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("takes back nothing of another backend's, nor what it never asked", async () => {
    const requests = requestsFor();
    const a = await connectionTo("a");
    const b = await connectionTo("b");
    const asked = requests.accept(a, sampling(7));

    expect(requests.withdraw(b, cancellationOf(7))).toBeUndefined();
    expect(requests.withdraw(a, cancellationOf(8))).toBeUndefined();
    expect(requests.answer(answerTo(asked))).toBe(true);
  });
});

test("progress of the client goes to the backend that gave the token, while it waits", async () => {
  const requests = requestsFor();
  const a = await connectionTo("a");
  const b = await connectionTo("b");
  const ofA = requests.accept(a, samplingWithToken("a"));
  requests.accept(b, samplingWithToken("b"));

  const whileWaiting = requests.connectionsWithToken("a");
  requests.answer(answerTo(ofA));

  expect(whileWaiting).toEqual(new Set([a]));
  expect(requests.connectionsWithToken("a").size).toBe(0);
  expect(requests.connectionsWithToken(undefined).size).toBe(0);
});

test("who waited long enough and who was asked are told so, and a later answer is dropped", async () => {
  const told: unknown[] = [];
  const requests = requestsFor(ALL, told);
  const a = await connectionTo("a");
  const asked = requests.accept(a, sampling(1));

  vi.advanceTimersByTime(ANSWER_TIMEOUT_MS - 1);
  const before = [...a.sent];
  vi.advanceTimersByTime(1);

  expect(before).toEqual([]);
  expect(sentBy(a)).toMatchObject([{ id: 1, error: { code: -32_603 } }]);
  expect(told).toMatchObject([
    { method: "notifications/cancelled", params: { requestId: asked?.message.id } },
  ]);
  expect(requests.answer(answerTo(asked))).toBe(false);
});

test("a connection that leaves waits no longer, of which both sides hear, and others go on", async () => {
  const told: unknown[] = [];
  const requests = requestsFor(ALL, told);
  const [leaving, staying] = [await connectionTo("a"), await connectionTo("b")];
  const asked = requests.accept(leaving, sampling(7));
  requests.accept(staying, sampling(7));

  requests.leave(leaving);

  expect(leaving.sent.map(String)).toEqual([expect.stringContaining('"id":7,"error"')]);
  expect(told).toEqual([
    expect.objectContaining({
      method: "notifications/cancelled",
      params: expect.objectContaining({ requestId: asked?.message.id }),
    }),
  ]);
  expect(staying.sent).toEqual([]);
  expect(requests.pendingCount).toBe(1);
});

test("closing tells every backend that waits, and leaves no timer", async () => {
  const requests = requestsFor();
  const a = await connectionTo("a");
  const b = await connectionTo("b");
  requests.accept(a, sampling(1));
  requests.accept(b, sampling(2));

  requests.close();

  expect(sentBy(a)).toMatchObject([{ id: 1, error: {} }]);
  expect(sentBy(b)).toMatchObject([{ id: 2, error: {} }]);
  expect(requests.pendingCount).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
});

test("a backend that can no longer be told harms nobody", async () => {
  const requests = requestsFor();
  const a = await connectionTo("a");
  const asked = requests.accept(
    {
      ...a,
      send: async () => {
        throw new Error("closed");
      },
    },
    sampling(1),
  );

  expect(requests.answer(answerTo(asked))).toBe(true);
  expect(requests.pendingCount).toBe(0);
});
