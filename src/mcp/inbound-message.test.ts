import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  clip,
  DEFAULT_MESSAGE_LIMITS,
  parseInbound,
  type InboundMessage,
} from "./inbound-message.ts";

function parse(text: string | Buffer): InboundMessage {
  return parseInbound(Buffer.from(text), DEFAULT_MESSAGE_LIMITS);
}

/** What a message came to, in one line: its kind, and for an invalid one the code and the id that is echoed. */
function outcome(text: string | Buffer): string {
  const message = parse(text);
  if (message.kind !== "invalid") return message.kind;
  return `${message.error.code} ${message.idJson ?? "-"}`;
}

function nested(depth: number): string {
  return "[".repeat(depth) + "]".repeat(depth);
}

describe("what is no message", () => {
  test.for<[string, string | Buffer, string]>([
    ["nothing", "", "parse_error -"],
    ["white space", " \r\n\t", "parse_error -"],
    ["half an object", '{"jsonrpc":"2.0","id":1', "parse_error -"],
    ["an unterminated string", '{"jsonrpc":"2', "parse_error -"],
    ["two messages", '{"jsonrpc":"2.0"}{"jsonrpc":"2.0"}', "parse_error -"],
    ["a byte-order mark", '\uFEFF{"jsonrpc":"2.0","id":1,"method":"ping"}', "parse_error -"],
    ["UTF-16", Buffer.from('{"id":1}', "utf16le"), "parse_error -"],
    ["a byte that UTF-8 does not have", Buffer.from('{"a":"\xff"}', "latin1"), "parse_error -"],
    ["half a character", Buffer.from('{"a":"\xe2\x82"}', "latin1"), "parse_error -"],
    ["a raw line break in a string", '{"a":"\n"}', "parse_error -"],
    ["a trailing comma", '{"a":1,}', "parse_error -"],
    ["a comment", '{/* */"a":1}', "parse_error -"],
    ["a number", "42", "invalid_request -"],
    ["a text", '"ping"', "invalid_request -"],
    ["null", "null", "invalid_request -"],
    ["an empty batch", "[]", "invalid_request -"],
    ["a batch behind white space", ' \n[{"jsonrpc":"2.0","id":1,"method":"ping"}]', "batch"],
    ["an empty object", "{}", "invalid_request -"],
  ])("%s", ([, text, expected]) => {
    expect(outcome(text)).toBe(expected);
  });
});

describe("what is no JSON-RPC message", () => {
  test.for<[string, string, string]>([
    ["no version", '{"id":1,"method":"ping"}', "invalid_request 1"],
    ["version 2", '{"jsonrpc":2,"id":1,"method":"ping"}', "invalid_request 1"],
    ["version 1.0", '{"jsonrpc":"1.0","id":1,"method":"ping"}', "invalid_request 1"],
    ["an id and nothing else", '{"jsonrpc":"2.0","id":1}', "invalid_request -"],
    ["no id and no method", '{"jsonrpc":"2.0","result":{}}', "invalid_request -"],
    ["a method that is no text", '{"jsonrpc":"2.0","id":1,"method":7}', "invalid_request 1"],
    ["null as id", '{"jsonrpc":"2.0","id":null,"method":"x"}', "invalid_request -"],
    ["true as id", '{"jsonrpc":"2.0","id":true,"method":"x"}', "invalid_request -"],
    ["an object as id", '{"jsonrpc":"2.0","id":{},"method":"x"}', "invalid_request -"],
    ["half as id", '{"jsonrpc":"2.0","id":0.5,"method":"x"}', "invalid_request -"],
    ["infinity as id", '{"jsonrpc":"2.0","id":1e400,"method":"x"}', "invalid_request -"],
    ["an id of ours", '{"jsonrpc":"2.0","id":"vmcp:1","method":"x"}', 'invalid_request "vmcp:1"'],
    ["method and result", '{"jsonrpc":"2.0","id":1,"method":"x","result":{}}', "invalid_request 1"],
    ["method and error", '{"jsonrpc":"2.0","id":1,"method":"x","error":{}}', "invalid_request 1"],
    [
      "result and error",
      '{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":"x"}}',
      "invalid_request -",
    ],
    ["a result that is a list", '{"jsonrpc":"2.0","id":1,"result":[]}', "invalid_request -"],
    [
      "an error whose code is text",
      '{"jsonrpc":"2.0","id":1,"error":{"code":"1","message":"x"}}',
      "invalid_request -",
    ],
    ["an error without text", '{"jsonrpc":"2.0","id":1,"error":{"code":1}}', "invalid_request -"],
  ])("%s", ([, text, expected]) => {
    expect(outcome(text)).toBe(expected);
  });
});

describe("keys that two readers could read differently", () => {
  test.for<[string, string]>([
    ["the method twice", '{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}'],
    ["the method twice, once escaped", '{"jsonrpc":"2.0","id":1,"method":"a","\\u006dethod":"b"}'],
    ["the method in another case", '{"jsonrpc":"2.0","id":1,"method":"a","Method":"b"}'],
    ["params with a long s", '{"jsonrpc":"2.0","id":1,"method":"a","params":{},"param\u017F":{}}'],
    ["the id twice", '{"jsonrpc":"2.0","id":1,"id":2,"method":"a"}'],
    ["the name twice", '{"jsonrpc":"2.0","id":1,"method":"a","params":{"name":"a","name":"b"}}'],
    [
      "the name in capitals",
      '{"jsonrpc":"2.0","id":1,"method":"a","params":{"name":"","NAME":""}}',
    ],
    ["a kelvin sign", '{"jsonrpc":"2.0","id":1,"method":"a","params":{"k":1,"\u212A":2}}'],
    ["in a notification", '{"jsonrpc":"2.0","method":"a","params":{"requestId":1,"requestId":2}}'],
  ])("%s is refused", ([, text]) => {
    expect(parse(text)).toMatchObject({ kind: "invalid", error: { code: "invalid_request" } });
  });

  test("keys deeper down are the backend's business", () => {
    const text =
      '{"jsonrpc":"2.0","id":1,"method":"a","params":{"arguments":{"a":1,"a":2,"A":3,"__proto__":{}}}}';

    expect(parse(text)).toMatchObject({ kind: "request" });
  });
});

describe("what may be dispatched", () => {
  test("a request comes with its bytes, its id as written and the place of its name", () => {
    const text =
      ' {"jsonrpc":"2.0", "id" : 9007199254740993 ,"method":"tools/call","params":{"name" : "é\\n"}}';
    const bytes = Buffer.from(text);

    const request = parseInbound(bytes, DEFAULT_MESSAGE_LIMITS);

    expect(request).toMatchObject({
      kind: "request",
      idJson: "9007199254740993",
      method: "tools/call",
      hasBadParams: false,
    });
    const { bytes: kept, nameSpan } = request as Extract<InboundMessage, { kind: "request" }>;
    expect(kept).toBe(bytes);
    expect(bytes.toString("utf8", nameSpan?.start, nameSpan?.end)).toBe('"é\\n"');
  });

  test.for(["0", "-1", '""', '"0"', "1e3", '"\\ud800"', "1.0"])("the id %s is usable", (id) => {
    const message = parse(`{"jsonrpc":"2.0","id":${id},"method":"ping"}`);

    expect(message).toMatchObject({ kind: "request", idJson: id });
  });

  test.for(["[]", "7", "null", '"x"'])("params %s are noted as bad", (params) => {
    const message = parse(`{"jsonrpc":"2.0","id":1,"method":"ping","params":${params}}`);

    expect(message).toMatchObject({ kind: "request", hasBadParams: true, params: undefined });
  });

  test("what has a method and no id is a notification, whatever the method", () => {
    const message = parse('{"jsonrpc":"2.0","method":"tools/call","params":{"name":"x"}}');

    expect(message).toMatchObject({ kind: "notification", method: "tools/call" });
  });

  test.for(['"result":{}', '"error":{"code":-1,"message":""}'])(
    "an answer with %s comes with the place of its id",
    (member) => {
      const text = `{"jsonrpc":"2.0",${member},"id":"vmcp:7"}`;

      const message = parse(text);

      expect(message).toMatchObject({ kind: "response", id: "vmcp:7" });
      const { idSpan } = message as Extract<InboundMessage, { kind: "response" }>;
      expect(text.slice(idSpan.start, idSpan.end)).toBe('"vmcp:7"');
    },
  );

  test("a key named __proto__ changes no object", () => {
    parse('{"jsonrpc":"2.0","id":1,"method":"ping","__proto__":{"isAdmin":true}}');

    expect(Object.hasOwn(Object.prototype, "isAdmin")).toBe(false);
  });
});

describe("limits", () => {
  test.for([
    [64, "invalid_request -"],
    [65, "invalid_request -"],
  ] as const)(
    "%i levels of brackets are %s, for what they are or for how deep",
    ([depth, expected]) => {
      const isTooDeep = depth > DEFAULT_MESSAGE_LIMITS.jsonDepth;

      const message = parse(`{"a":${nested(depth - 1)}}`);

      expect(outcome(`{"a":${nested(depth - 1)}}`)).toBe(expected);
      expect(message).toMatchObject({
        error: { message: expect.stringContaining(isTooDeep ? "64 levels" : "jsonrpc") },
      });
    },
  );

  test("brackets within texts do not count", () => {
    const text = JSON.stringify({ jsonrpc: "2.0", id: "[{".repeat(100), method: "ping" });

    expect(parse(text)).toMatchObject({ kind: "request" });
  });

  test("a million levels are refused without being parsed", () => {
    expect(parse("[".repeat(1_000_000))).toMatchObject({
      error: { message: expect.stringContaining("64 levels") },
    });
  });

  test.for([
    [256, "request"],
    [257, "invalid_request -"],
  ] as const)("an id of %i characters is %s", ([length, expected]) => {
    expect(outcome(`{"jsonrpc":"2.0","id":"${"i".repeat(length)}","method":"ping"}`)).toBe(
      expected,
    );
  });

  test("a text of the client's in a message of ours is cut", () => {
    expect(clip("x".repeat(129))).toBe(`${"x".repeat(128)}…`);
    expect(clip("x".repeat(128))).toBe("x".repeat(128));
  });
});

describe("for every input", () => {
  test("bytes of any kind are answered and never thrown about", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array)),
      fc.json().map((text) => Buffer.from(text)),
      fc.stringMatching(/^[[\]{}":,\\ a1]{0,40}$/).map((text) => Buffer.from(text)),
    );

    fc.assert(
      fc.property(bytes, (input) => {
        const { kind } = parseInbound(input, DEFAULT_MESSAGE_LIMITS);

        expect(["request", "notification", "response", "batch", "invalid"]).toContain(kind);
      }),
    );
  });

  test("a request is read as JSON.parse reads it, wherever its members stand", () => {
    const spaces = fc.stringMatching(/^[ \t\r\n]{0,3}$/);
    const members = fc.record({
      id: fc.oneof(fc.string({ maxLength: 20 }), fc.maxSafeInteger()),
      method: fc.string(),
      params: fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), fc.jsonValue({ maxDepth: 3 })),
    });
    const order = fc.shuffledSubarray(["jsonrpc", "id", "method", "params"], { minLength: 4 });

    fc.assert(
      fc.property(members, order, spaces, (given, keys, space) => {
        fc.pre(!String(given.id).startsWith("vmcp:"));
        const value = { jsonrpc: "2.0", ...given };
        const entries = new Map(Object.entries(value));
        const text = `{${keys
          .map((key) => `${space}"${key}"${space}:${space}${JSON.stringify(entries.get(key))}`)
          .join(`${space},`)}${space}}`;

        const message = parse(text);

        expect(message).toMatchObject({ kind: "request", id: given.id, method: given.method });
        expect(message).toMatchObject({ params: JSON.parse(JSON.stringify(given.params)) });
      }),
    );
  });
});
