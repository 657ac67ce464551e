import { expect, test } from "vitest";
import { compareAnswer } from "./compare.ts";
import type { Expected } from "./entry.ts";
import { HttpReader } from "./http-reader.ts";
import type { Outcome } from "./perform.ts";

const RESULT = '{"jsonrpc":"2.0","id":1,"result":{"isError":true,"_meta":{"x/mark":1}}}';
const ERROR = '{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"m","data":{"kind":"k"}}}';

/** What a client would make of these bytes from the gateway. */
function outcomeOf(bytes: string, isClosed = false): Outcome {
  const reader = new HttpReader(() => {});
  reader.take(Buffer.from(bytes));
  if (isClosed) reader.end();
  return {
    answers: reader.answers,
    messages: [],
    isClosed,
    closes: async () => isClosed,
    idJson: "1",
    sentText: "",
    ms: 1,
  };
}

function answer(status: number, body: string, ...headers: readonly string[]): string {
  const lines = [...headers, `Content-Length: ${Buffer.byteLength(body)}`];
  return `HTTP/1.1 ${status} X\r\n${lines.join("\r\n")}\r\n\r\n${body}`;
}

function stream(...messages: readonly string[]): string {
  const events = messages.map((message) => `data: ${message}\n\n`).join("");
  return `HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n${events}`;
}

const SAME: readonly [string, Expected][] = [
  [answer(200, RESULT), { http: 200, code: "result", id: "echo", resultIsError: true }],
  [answer(200, RESULT), { http: [400, 200], code: [-32_600, "result"], resultMetaHas: ["mark"] }],
  [answer(200, ERROR), { code: -32_603, errorData: { kind: "k" }, dataHas: ["kind"] }],
  [answer(401, ""), { http: 401, code: null, id: "absent" }],
  [answer(405, "", "Allow: GET"), { headersPresent: ["Allow"], headersAbsent: ["x-other"] }],
  [stream('{"jsonrpc":"2.0","method":"n"}', RESULT), { code: "result", id: "echo", sseEvents: 2 }],
  [answer(200, RESULT), { connection: "keep" }],
  [
    answer(401, "", 'WWW-Authenticate: Bearer error="invalid_token", scope="a"'),
    { wwwAuthenticate: { error: "invalid_token", scope: true, resource_metadata: false } },
  ],
];

test.for(SAME)("%j is as expected by %j", async ([bytes, expected]) => {
  expect(await compareAnswer(outcomeOf(bytes), expected)).toEqual([]);
});

const OTHER: readonly [string, Expected, string][] = [
  [answer(500, ""), { http: [200, 400] }, "http"],
  [answer(200, ERROR), { code: "result" }, "code"],
  [answer(200, RESULT), { code: [-32_600, null] }, "code"],
  [answer(200, RESULT), { id: "absent" }, "id"],
  [answer(200, RESULT.replace('"id":1', '"id":"1"')), { id: "echo" }, "id"],
  [answer(400, ERROR.replace('"id":1', '"id":null')), { id: ["echo", "absent"] }, "id"],
  [answer(200, ERROR), { errorData: { kind: "other" } }, "error.data.kind"],
  [answer(200, RESULT), { errorData: { kind: "k" } }, "error.data.kind"],
  [answer(200, ERROR), { dataHas: ["supported"] }, "error.data.supported"],
  [answer(200, RESULT), { resultIsError: false }, "result.isError"],
  [answer(200, RESULT), { resultMetaHas: ["missing"] }, "result._meta.missing"],
  [answer(200, RESULT), { resultEquals: "exact bytes" }, "result"],
  [answer(200, RESULT), { headersPresent: ["retry-after"] }, "header retry-after"],
  [answer(200, RESULT, "X-Y: 1"), { headersAbsent: ["x-y"] }, "header x-y"],
  [answer(200, RESULT), { connection: "close" }, "connection"],
  [answer(200, RESULT, "Connection: close"), { connection: "keep" }, "connection"],
  [stream(RESULT), { sseEvents: 2 }, "events"],
  [answer(401, ""), { wwwAuthenticate: { scope: true } }, "WWW-Authenticate scope"],
];

test.for(OTHER)("%j is not what %j expects", async ([bytes, expected, what]) => {
  const differences = await compareAnswer(outcomeOf(bytes), expected);

  expect(differences).toHaveLength(1);
  expect(differences[0]).toMatch(`${what}: came`);
});

test("a connection that is closed without an answer is an answer only where that is allowed", async () => {
  const closed = outcomeOf("", true);

  expect(await compareAnswer(closed, { http: [408, "closed"] })).toEqual([]);
  expect(await compareAnswer(closed, { http: 408 })).toHaveLength(1);
});

test("each of several answers on one connection has to be an allowed one", async () => {
  const both = outcomeOf(answer(200, RESULT) + answer(404, ""));

  expect(await compareAnswer(both, { http: [200, 404] })).toEqual([]);
  expect(await compareAnswer(both, { http: 200 })).toHaveLength(1);
});
