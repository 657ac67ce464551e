import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DEFAULT_MESSAGE_LIMITS, parseInbound, type InboundMessage } from "./inbound-message.ts";
import { joined } from "./message-bytes.ts";

const FILL = "x".repeat(40_000);

function parse(text: string | Buffer, jsonDepth = 64): InboundMessage {
  return parseInbound(Buffer.from(text), { ...DEFAULT_MESSAGE_LIMITS, jsonDepth });
}

/** A call of a tool; `before` and `after` are further members of its params. */
function call(args: string, { before = "", after = "" } = {}): string {
  const params = `{${before}"name":"tool","arguments":${args}${after}}`;
  return `{"jsonrpc":"2.0","id":"é1","method":"tools/call","params":${params}}`;
}

function nested(levels: number): string {
  return `{"fill":"${FILL}","deep":${"[".repeat(levels)}${"]".repeat(levels)}}`;
}

describe("a call with large arguments", () => {
  test("is the call that JSON.parse reads, arguments and all", () => {
    const members = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 }), { maxKeys: 4 });
    fc.assert(
      fc.property(members, members, (args, meta) => {
        const text = call(JSON.stringify({ ...args, fill: FILL }), {
          before: `"_meta":${JSON.stringify(meta)},`,
          after: ` , "zero":-0.0e1`,
        });

        const message = parse(text);

        const { params } = JSON.parse(text) as { params: object };
        expect(message).toMatchObject({ kind: "request", id: "é1", method: "tools/call" });
        expect(message).toMatchObject({ hasUnreadArguments: true });
        expect(message.kind === "request" && message.params).toEqual(params);
        expect(message.kind === "request" && message.bytes.toString()).toBe(text);
      }),
      { numRuns: 30 },
    );
  });

  test.for([
    ["before them", `{"name":"tool","arguments":{"fill":"${FILL}"}}`],
    ["behind them", `{"arguments":{"fill":"${FILL}"},"name":"tool"}`],
  ] as const)("has its name %s found where it stands", ([, params]) => {
    const message = parse(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${params}}`);

    if (message.kind !== "request" || message.nameSpan === undefined) throw new Error("no name");
    const { start, end } = message.nameSpan;
    expect(message.bytes.toString("utf8", start, end)).toBe('"tool"');
  });

  test("reads them once, however often they are asked for", () => {
    const message = parse(call(`{"fill":"${FILL}"}`));

    if (message.kind !== "request") throw new Error("no request");
    expect(message.params?.["arguments"]).toBe(message.params?.["arguments"]);
  });
});

describe("another name", () => {
  function large(text: string) {
    const message = parse(text);
    if (message.kind !== "request") throw new Error("no request");
    return message;
  }

  test.for([
    ["shorter", '"t"'],
    ["as long", '"öol"'],
    ["empty", '""'],
  ] as const)(
    "that is %s takes the place of the first, and the message stays what it was",
    ([, name]) => {
      const text = call(`{"fill":"${FILL}"}`);
      const message = large(text);

      const renamed = message.toSend?.(name);

      if (renamed === undefined) throw new Error("a copy is needed");
      expect(joined(renamed).toString()).toBe(text.replace('"tool"', name));
      expect(message.bytes.toString()).toBe(text);
      expect(message.params?.["arguments"]).toEqual({ fill: FILL });
      expect(joined(renamed).toString()).toBe(text.replace('"tool"', name));
    },
  );

  test.for([
    ["is longer", call(`{"fill":"${FILL}"}`), '"longer"'],
    [
      "stands behind the arguments",
      call(`{"fill":"${FILL}"}`).replace(/"name":"tool",(.*)\}\}$/s, '$1,"name":"tool"}}'),
      '"t"',
    ],
    ["is not there", call(`{"fill":"${FILL}"}`).replace('"name":"tool",', ""), '"t"'],
  ] as const)("needs a copy where it %s", ([, text, name]) => {
    const message = large(text);

    expect(message.toSend?.(name)).toBeUndefined();
    expect(message.bytes.toString()).toBe(text);
  });

  test.for([
    ['"t"', '"name":"t"'],
    [undefined, '"name":"tool"'],
  ] as const)(
    "is given once, %s or another: what was sent first must not change",
    ([name, told]) => {
      const message = large(call(`{"fill":"${FILL}"}`));

      const first = message.toSend?.(name) ?? [];

      expect(message.toSend?.('"u"')).toBeUndefined();
      expect(message.toSend?.(undefined)).toBeUndefined();
      expect(joined(first).toString()).toContain(told);
    },
  );

  test("is joined once, however often it is asked for", () => {
    const text = call(`{"fill":"${FILL}"}`);
    const halves = [text.slice(0, 20_000), text.slice(20_000)].map((half) => Buffer.from(half));
    const message = parseInbound(halves, DEFAULT_MESSAGE_LIMITS);

    if (message.kind !== "request") throw new Error("no request");
    expect(message.bytes).toBe(message.bytes);
    message.toSend?.('"t"');
    expect(message.bytes.toString()).toBe(text);
  });
});

describe("a message in pieces", () => {
  const args = fc.record({ fill: fc.constant(FILL), more: fc.jsonValue({ maxDepth: 3 }) });
  const cuts = fc.array(fc.integer({ min: 1, max: 40_000 }), { maxLength: 5 });

  test("is the one that it is in one, and leaves as it came", () => {
    fc.assert(
      fc.property(args, cuts, fc.boolean(), (given, places, isRenamed) => {
        const text = call(JSON.stringify(given));
        const pieces = piecesOf(text, places);

        const message = parseInbound(pieces, DEFAULT_MESSAGE_LIMITS);

        if (message.kind !== "request") throw new Error("no request");
        const sent = message.toSend?.(isRenamed ? '"t"' : undefined);
        const expected = isRenamed ? text.replace('"tool"', '"t"') : text;
        // Only a copy can have another name where the first piece ends before the name does.
        expect(joined(sent ?? Buffer.from(expected)).toString()).toBe(expected);
        expect(message.bytes.toString()).toBe(text);
        expect(message.params).toEqual((JSON.parse(text) as { params: object }).params);
        const { start, end } = message.nameSpan ?? {};
        expect(message.bytes.subarray(start, end).toString()).toBe('"tool"');
      }),
      { numRuns: 60 },
    );
  });

  test("is not copied on its way, under its own name or a shorter one", () => {
    const pieces = piecesOf(call(`{"fill":"${FILL}"}`), [20_000, 30_000]);
    const [plain, other] = [pieces, pieces.map((piece) => Buffer.from(piece))].map((given) =>
      parseInbound(given, DEFAULT_MESSAGE_LIMITS),
    );

    if (plain?.kind !== "request" || other?.kind !== "request") throw new Error("no request");
    expect(plain.toSend?.(undefined)).toBe(pieces);
    expect(other.toSend?.('"t"')).toHaveLength(pieces.length);
  });

  test("is refused where it breaks off, in whatever piece that is", () => {
    const pieces = piecesOf(call(`{"fill":"${FILL}"}`).slice(0, -1), [20_000, 40_100]);

    expect(parseInbound(pieces, DEFAULT_MESSAGE_LIMITS)).toMatchObject({ kind: "invalid" });
  });

  function piecesOf(text: string, places: readonly number[]): Buffer[] {
    const bytes = Buffer.from(text);
    const ends = [...new Set(places), bytes.length].toSorted((a, b) => a - b);
    return ends.map((end, index) => Buffer.from(bytes.subarray(ends[index - 1] ?? 0, end)));
  }
});

describe("is refused as a small one would be", () => {
  test.for([
    ["a line break inside a string", call(`{"fill":"${FILL}\n"}`), "not valid JSON"],
    ["a comma too many", call(`{"fill":"${FILL}",}`), "not valid JSON"],
    ["an end that is missing", call(`{"fill":"${FILL}"}`).slice(0, -1), "not valid JSON"],
    ["something behind its end", `${call(`{"fill":"${FILL}"}`)}{`, "not valid JSON"],
    ["arguments twice", call(`{"fill":"${FILL}"}`, { after: ',"arguments":{}' }), "stands twice"],
    [
      "another spelling too",
      call(`{"fill":"${FILL}"}`, { after: ',"Arguments":{}' }),
      "stands twice",
    ],
    ["a name twice", call(`{"fill":"${FILL}"}`, { after: ',"name":"other"' }), "stands twice"],
    [
      "params twice",
      `{"params":{"arguments":{"f":"${FILL}"}},${call("{}").slice(1)}`,
      "stands twice",
    ],
  ] as const)("with %s", ([, text, sentence]) => {
    const message = parse(text);

    expect(message.kind === "invalid" && message.error.message).toContain(sentence);
  });

  test("where it is not UTF-8", () => {
    const bytes = Buffer.from(call(`{"fill":"${FILL}"}`));
    bytes[bytes.length - 10] = 0xff;

    const message = parse(bytes);

    expect(message.kind === "invalid" && message.error.message).toContain("not valid UTF-8");
  });

  test("where it is nested one level deeper than the limit", () => {
    expect(parse(call(nested(5)), 8).kind).toBe("request");
    expect(parse(call(nested(6)), 8)).toMatchObject({ kind: "invalid" });
  });
});

test("arguments that are no object are left to whoever reads them", () => {
  const message = parse(call(`"${FILL}"`));

  expect(message).toMatchObject({ kind: "request", params: { arguments: FILL } });
  expect(message).not.toHaveProperty("hasUnreadArguments");
});
