import * as fc from "fast-check";
import { expect, test } from "vitest";
import { isJsonObject } from "../../domain/json.ts";
import { withEnvelope, type NextRound } from "./request-bytes.ts";

const ENVELOPE = '"io.modelcontextprotocol/protocolVersion":"2026-07-28"';

function rewritten(text: string, round?: NextRound): string {
  return withEnvelope(Buffer.from(text), ENVELOPE, round).toString();
}

test.for([
  ["no params", '{"id":1,"method":"m"}', `{"params":{"_meta":{${ENVELOPE}}},"id":1,"method":"m"}`],
  [
    "params that are no object",
    '{"params":[1],"id":1}',
    `{"params":{"_meta":{${ENVELOPE}}},"id":1}`,
  ],
  ["empty params", '{"id":1,"params":{}}', `{"id":1,"params":{"_meta":{${ENVELOPE}}}}`],
  [
    "params without _meta",
    '{"params":{ "a" : 1.0 }}',
    `{"params":{"_meta":{${ENVELOPE}}, "a" : 1.0 }}`,
  ],
  ["an empty _meta", '{"params":{"_meta":{},"a":1}}', `{"params":{"_meta":{${ENVELOPE}},"a":1}}`],
  [
    "a _meta that is no object",
    '{"params":{"a":1,"_meta":7}}',
    `{"params":{"_meta":{${ENVELOPE}},"a":1}}`,
  ],
  [
    "a _meta with keys of an earlier hop",
    '{"params":{"_meta":{"io.modelcontextprotocol/logLevel":"debug","progressToken":9007199254740993,"io.modelcontextprotocol/clientInfo":{}}}}',
    `{"params":{"_meta":{${ENVELOPE},"progressToken":9007199254740993}}}`,
  ],
  [
    "a _meta with keys of an earlier hop that only answers have",
    '{"params":{"_meta":{"io.modelcontextprotocol/subscriptionId":1,"a":1,"io.modelcontextprotocol/serverInfo":{}}}}',
    `{"params":{"_meta":{${ENVELOPE},"a":1}}}`,
  ],
  [
    "a _meta with nothing but keys of an earlier hop",
    '{"params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"x","io.modelcontextprotocol/clientCapabilities":{}}}}',
    `{"params":{"_meta":{${ENVELOPE}}}}`,
  ],
] as const)(
  "who asks is said in a request with %s, and nothing else is touched",
  ([, given, expected]) => {
    expect(rewritten(given)).toBe(expected);
  },
);

test("a later round has another id, the answers and what was to be handed back", () => {
  const round = {
    idJson: '"vmcp:round:1"',
    inputResponsesJson: '{"k":{"action":"decline"}}',
    requestStateJson: '"\\u00e9"',
  };

  const text = rewritten(
    '{"id":12345678901234567890,"params":{"name":"n","requestState":"old"}}',
    round,
  );

  expect(text).toBe(
    `{"id":"vmcp:round:1","params":{"_meta":{${ENVELOPE}},"inputResponses":{"k":{"action":"decline"}},"requestState":"\\u00e9","name":"n"}}`,
  );
});

test("a round without a state hands none back, whatever the request held", () => {
  const round = { idJson: "2", inputResponsesJson: "{}", requestStateJson: undefined };

  const text = rewritten(
    '{"id":1,"params":{"requestState":"old","inputResponses":{"a":1},"_meta":{}}}',
    round,
  );

  expect(JSON.parse(text)).toEqual({
    id: 2,
    params: {
      inputResponses: {},
      _meta: { "io.modelcontextprotocol/protocolVersion": "2026-07-28" },
    },
  });
});

test("whatever a request holds, it differs by what is said of who asks alone", () => {
  const key = fc.oneof(
    fc.string(),
    fc.constantFrom("_meta", "io.modelcontextprotocol/logLevel", "name", "__proto__x"),
  );
  const object = fc.dictionary(key, fc.jsonValue());
  const params = fc.record({ params: fc.dictionary(key, fc.oneof(fc.jsonValue(), object)) });

  fc.assert(
    fc.property(params, fc.constantFrom(0, 1, 2), (request, indent) => {
      const text = JSON.stringify({ id: 1, ...request }, undefined, indent);

      const after: unknown = JSON.parse(rewritten(text));

      // JSON text of an object with an object of parameters.
      const { params: given } = JSON.parse(text) as { params: Record<string, unknown> };
      const meta = isJsonObject(given["_meta"]) ? given["_meta"] : {};
      const { "io.modelcontextprotocol/logLevel": _level, ...kept } = meta;
      const own = { "io.modelcontextprotocol/protocolVersion": "2026-07-28" };
      expect(after).toEqual({ id: 1, params: { ...given, _meta: { ...kept, ...own } } });
    }),
  );
});
