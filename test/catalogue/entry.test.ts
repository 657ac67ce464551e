import { expect, test } from "vitest";
import { readCatalogue } from "./entry.ts";
import { fill, fillKnown } from "./placeholders.ts";

const PING = {
  id: "X-1",
  area: "a",
  description: "d",
  request: { kind: "rpc", era: "legacy", message: { jsonrpc: "2.0", id: 1, method: "ping" } },
  expected: { http: 200 },
};

test.for<[string, object]>([
  ["of an entry", { ...PING, more: 1 }],
  ["of a request", { ...PING, request: { ...PING.request, more: 1 } }],
  ["of what is expected", { ...PING, expected: { more: 1 } }],
  [
    "of a behaviour",
    { ...PING, backendBehaviour: { transport: "http", on: "x", do: [], more: 1 } },
  ],
  ["of a step", { ...PING, request: { kind: "sequence", steps: [{ session: "alice", more: 1 }] } }],
  ["of a token", { ...PING, request: { ...PING.request, auth: { jwt: { more: 1 } } } }],
])("a member %s that is not known makes the entry unreadable, and only that one", ([, entry]) => {
  const [read, next] = readCatalogue(JSON.stringify([entry, PING]));

  expect(read).toMatchObject({ id: "X-1" });
  expect(read?.problem).toBeTruthy();
  expect(next).toMatchObject({ entry: { id: "X-1" } });
});

test.for<[string, object]>([
  ["a kind of request", { ...PING, request: { kind: "telepathy" } }],
  ["an invariant", { ...PING, expected: { invariants: ["I99"] } }],
  ["a limit on executions", { ...PING, expected: { backendExecutions: "about 3" } }],
])("%s that is not known makes the entry unreadable", ([, entry]) => {
  expect(readCatalogue(JSON.stringify([entry]))[0]?.problem).toBeTruthy();
});

test("placeholders are filled in texts, and one that is alone becomes its value", () => {
  const values = new Map<string, unknown>([
    ["N", 7],
    ["O", { a: 1 }],
  ]);

  expect(fill({ a: "n=${N}", b: ["${O}"] }, values)).toEqual({ a: "n=7", b: [{ a: 1 }] });
});

test("a placeholder that is not known is an error, but in configuration it is not ours", () => {
  const values = new Map([["KNOWN", "k"]]);

  expect(() => fill("${UNKNOWN}", values)).toThrow("${UNKNOWN}");
  expect(fillKnown("${KNOWN} ${UNKNOWN}", values)).toBe("k ${UNKNOWN}");
});
