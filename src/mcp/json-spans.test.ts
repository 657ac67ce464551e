import * as fc from "fast-check";
import { expect, test } from "vitest";
import { VmcpError } from "../domain/errors.ts";
import {
  exceedsDepth,
  findDuplicateKey,
  firstMember,
  replaceBytes,
  scanElements,
  scanMembers,
  skipValue,
  skipWhitespace,
  spliceBytes,
} from "./json-spans.ts";

const whitespace = fc.string({ unit: fc.constantFrom(" ", "\t", "\n", "\r"), maxLength: 3 });

/** Serialises a value with the given whitespace between all tokens. */
function spread(value: unknown, space: string): string {
  if (Array.isArray(value)) {
    return `[${space}${value.map((item) => spread(item, space)).join(`${space},${space}`)}${space}]`;
  }
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).map(
    ([key, item]) => `${JSON.stringify(key)}${space}:${space}${spread(item, space)}`,
  );
  return `{${space}${members.join(`${space},${space}`)}${space}}`;
}

function parseSpan(bytes: Buffer, start: number, end: number): unknown {
  return JSON.parse(bytes.toString("utf8", start, end));
}

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof VmcpError) return error.code;
    throw error;
  }
  return "nothing thrown";
}

test("every member of any object is found with its key, its value's bytes and in order", () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string({ unit: "binary" }), fc.jsonValue()),
      whitespace,
      (object, space) => {
        // An object was serialised, so an object is parsed.
        const source = JSON.parse(JSON.stringify(object)) as Record<string, unknown>;
        const bytes = Buffer.from(spread(source, space));

        const members = scanMembers(bytes, 0);

        const found = members.map((m) => [m.key, parseSpan(bytes, m.valueStart, m.valueEnd)]);
        expect(found).toEqual(Object.entries(source));
        for (const { keyStart } of members) expect(bytes[keyStart]).toBe(0x22);
      },
    ),
  );
});

test("every element of any array is found with its value's bytes", () => {
  fc.assert(
    fc.property(fc.array(fc.jsonValue()), whitespace, (array, space) => {
      const source: unknown = JSON.parse(JSON.stringify(array));
      const bytes = Buffer.from(spread(source, space));

      const elements = scanElements(bytes, 0);

      expect(elements.map((e) => parseSpan(bytes, e.valueStart, e.valueEnd))).toEqual(source);
    }),
  );
});

test("skipping a value stops just past it, wherever it stands", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom("", ",1", "]", "}", " \n"), (value, after) => {
      const text = Buffer.from(JSON.stringify(value));
      const bytes = Buffer.concat([Buffer.from("[ "), text, Buffer.from(after)]);

      const end = skipValue(bytes, skipWhitespace(bytes, 1));

      expect(end).toBe(2 + text.length);
    }),
  );
});

test("an object inside other text is scanned from its own brace", () => {
  const bytes = Buffer.from('{"params": {"name":"a","arguments":{"}":[1,{"x":"]"}]}},"id":7}');
  const [params, id] = scanMembers(bytes, 0);

  const inner = scanMembers(bytes, params?.valueStart ?? -1);

  expect(inner.map(({ key }) => key)).toEqual(["name", "arguments"]);
  expect(id?.key).toBe("id");
});

test.for([
  [String.raw`{"a\"b":1}`, 'a"b'],
  [String.raw`{"\u0061":1}`, "a"],
  [String.raw`{"\\":1}`, "\\"],
  [String.raw`{"\ud83d\ude00":1}`, "😀"],
  [String.raw`{"\ud800":1}`, "\ud800"],
  ['{"ключ😀":1}', "ключ😀"],
  ['{"":1}', ""],
  ['{"__proto__":1}', "__proto__"],
] as const)("the key of %s is decoded", ([text, key]) => {
  expect(scanMembers(Buffer.from(text), 0)).toMatchObject([{ key }]);
});

test("duplicate members are all reported, in order", () => {
  const members = scanMembers(Buffer.from(String.raw`{"a":1,"b":2,"\u0061":3}`), 0);

  expect(members.map(({ key }) => key)).toEqual(["a", "b", "a"]);
  expect(findDuplicateKey(members)).toBe("a");
});

test("distinct keys have no duplicate, names of built-in properties included", () => {
  const members = scanMembers(Buffer.from('{"constructor":1,"__proto__":2,"toString":3}'), 0);

  expect(findDuplicateKey(members)).toBeUndefined();
});

test.for([
  ["backslashes before the end", String.raw`"${"\\\\".repeat(500)}"`],
  ["an escaped quote at each length near the loop's limit", String.raw`"${"x".repeat(40)}\"tail"`],
  ["many escaped quotes", String.raw`"${String.raw`\"`.repeat(1_000)}"`],
  ["a backslash as last byte of the short loop", String.raw`"${"x".repeat(31)}\\"`],
  ["an escape across the limit of the short loop", String.raw`"${"x".repeat(31)}\"yy"`],
  [
    "a long run of backslashes and a quote",
    String.raw`"${"x".repeat(50)}${"\\".repeat(101)}" end"`,
  ],
] as const)("a string with %s ends where it ends", ([, text]) => {
  const bytes = Buffer.from(`${text} "next"`);

  expect(skipValue(bytes, 0)).toBe(Buffer.byteLength(text));
});

test("a string of any length with any escapes ends where it ends", () => {
  const piece = fc.constantFrom("\\", '"', "x", "ü", "\n", "x".repeat(31), "x".repeat(32));
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 80 }), (pieces) => {
      const text = JSON.stringify(pieces.join(""));

      expect(skipValue(Buffer.from(`${text}"`), 0)).toBe(Buffer.byteLength(text));
    }),
  );
});

test("huge strings of quotes and deep nesting are skipped without recursion", () => {
  const quotes = JSON.stringify('"\\'.repeat(500_000));
  const deep = "[".repeat(1_000_000) + "]".repeat(1_000_000);
  const bytes = Buffer.from(`{"quotes":${quotes},"deep":${deep},"last":1}`);

  const members = scanMembers(bytes, 0);

  expect(members.map(({ key }) => key)).toEqual(["quotes", "deep", "last"]);
});

test.for([
  ["1", 0, false],
  ["[]", 0, true],
  ["[]", 1, false],
  ['{"a":[{}]}', 2, true],
  ['{"a":[{}]}', 3, false],
  ["[[],[],[]]", 2, false],
  [String.raw`["[[[[\"[[[["]`, 1, false],
] as const)("%s is nested deeper than %i levels: %s", ([text, limit, expected]) => {
  expect(exceedsDepth(Buffer.from(text), limit)).toBe(expected);
});

test("the nesting depth of any value is measured exactly", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
      const bytes = Buffer.from(JSON.stringify(value));

      const depth = depthOf(value);

      expect(exceedsDepth(bytes, depth)).toBe(false);
      expect(depth === 0 || exceedsDepth(bytes, depth - 1)).toBe(true);
    }),
  );
});

function depthOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

test("arbitrary bytes end in an answer inside the bytes or in a parse error", () => {
  const bytesLike = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc
      .string({ unit: fc.constantFrom(...'{ } [ ] " , : \\ u 1 2'.split(" "), " ") })
      .map((text) => Buffer.from(text)),
  );
  fc.assert(
    fc.property(bytesLike, fc.nat(4), (raw, start) => {
      const bytes = Buffer.from(raw);

      for (const scan of [scanMembers, scanElements]) {
        const outcome = codeOf(() => {
          for (const span of scan(bytes, start)) {
            expect(span.valueEnd).toBeGreaterThan(span.valueStart);
            expect(span.valueEnd).toBeLessThanOrEqual(bytes.length);
          }
        });
        expect(["nothing thrown", "parse_error"]).toContain(outcome);
      }
      const others = [() => skipValue(bytes, start), () => exceedsDepth(bytes, 3)].map(codeOf);
      expect(["nothing thrown", "parse_error"]).toEqual(expect.arrayContaining(others));
    }),
    { numRuns: 2_000 },
  );
});

test.for(["", "[", "{", '{"a', '{"a"', '{"a":', '{"a":1', '{"a":1,', "{1:2}", "{,}", '{"a" 1}'])(
  "%j is a parse error to a scan for members",
  (text) => {
    expect(codeOf(() => scanMembers(Buffer.from(text), 0))).toBe("parse_error");
  },
);

test.for(["[1", "[,]", "[1 2]", '["a]', "[1,", "[[}"])(
  "%j is a parse error to a scan for elements",
  (text) => {
    expect(codeOf(() => scanElements(Buffer.from(text), 0))).toBe("parse_error");
  },
);

test("splicing equals cutting and pasting text", () => {
  const pieces = fc.array(fc.tuple(fc.string(), fc.string(), fc.string({ unit: "grapheme" })));
  fc.assert(
    fc.property(pieces, fc.boolean(), (parts, asBuffer) => {
      const source = Buffer.from(parts.map(([kept, gone]) => kept + gone).join(""));
      let at = 0;
      const edits = parts.map(([kept, gone, text]) => {
        const start = at + Buffer.byteLength(kept);
        at = start + Buffer.byteLength(gone);
        return { start, end: at, replacement: asBuffer ? Buffer.from(text) : text };
      });

      const result = spliceBytes(source, edits);

      expect(result.toString()).toBe(parts.map(([kept, , text]) => kept + text).join(""));
    }),
  );
});

test("edits apply in the order of the text, whatever order they are given in", () => {
  const edits = [
    { start: 4, end: 5, replacement: "E" },
    { start: 0, end: 0, replacement: ">" },
    { start: 1, end: 3, replacement: "" },
  ];

  expect(spliceBytes(Buffer.from("abcde"), edits).toString()).toBe(">adE");
});

test("splicing nothing gives a copy", () => {
  const source = Buffer.from("abc");

  const result = spliceBytes(source, []);
  result[0] = 0x78;

  expect(source.toString()).toBe("abc");
  expect(result.toString()).toBe("xbc");
});

test.for([
  [
    "overlap",
    [
      { start: 0, end: 2 },
      { start: 1, end: 3 },
    ],
  ],
  ["reach past the end", [{ start: 2, end: 4 }]],
  ["end before they start", [{ start: 2, end: 1 }]],
  ["start before the bytes", [{ start: -1, end: 1 }]],
] as const)("edits that %s are refused", ([, spans]) => {
  const edits = spans.map((span) => ({ ...span, replacement: "x" }));

  expect(codeOf(() => spliceBytes(Buffer.from("abc"), edits))).toBe("internal");
});

test("replacing one part gives what splicing it gives, whatever its length", () => {
  const parts = fc.tuple(
    fc.uint8Array({ maxLength: 300 }),
    fc.uint8Array({ maxLength: 20 }),
    fc.uint8Array({ maxLength: 300 }),
    fc.string({ unit: "grapheme" }),
  );
  fc.assert(
    fc.property(parts, ([head, old, tail, replacement]) => {
      const bytes = Buffer.concat([head, old, tail]);
      const [start, end] = [head.length, head.length + old.length];

      const replaced = replaceBytes(bytes, start, end, replacement);

      expect(replaced).toEqual(spliceBytes(bytes, [{ start, end, replacement }]));
    }),
  );
});

test("the first member of a name is found where all members are", () => {
  const keys = fc.constantFrom("id", "name", "params", "é", "na\u0022me", "arguments", "x");
  fc.assert(
    fc.property(fc.array(fc.tuple(keys, fc.jsonValue())), keys, (entries, wanted) => {
      const members = entries.map(
        ([key, value]) => `${JSON.stringify(key)}: ${JSON.stringify(value)}`,
      );
      const bytes = Buffer.from(` { ${members.join(" ,")} }`);

      const found = firstMember(bytes, 1, wanted);

      const all = scanMembers(bytes, 1);
      expect(all.map(({ key }) => key)).toEqual(entries.map(([key]) => key));
      expect(found).toBe(all.find(({ key }) => key === wanted)?.valueStart);
    }),
  );
});
