import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ValueValidator } from "./json-validity.ts";

const DEEP = 1_000;

function end(text: string, maxDepth = DEEP): number {
  return validValueEnd(Buffer.from(text), 0, maxDepth);
}

/** Where the value ends that begins at `start`, or -1; what is read goes on for a space, at which a number ends. */
function validValueEnd(bytes: Buffer, start: number, maxDepth: number): number {
  const validator = new ValueValidator(maxDepth);
  const stop = validator.read(Buffer.concat([bytes, Buffer.from(" ")]), start);
  return validator.isWhole ? stop : -1;
}

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Whether the bytes are one value with nothing but whitespace around it. */
function isWhole(bytes: Buffer): boolean {
  const text = bytes.toString();
  // Not what else is whitespace to JavaScript.
  const start = /^[ \t\r\n]*/.exec(text)?.[0].length ?? 0;
  const found = validValueEnd(bytes, start, DEEP);
  return found !== -1 && /^[ \t\r\n]*$/.test(bytes.toString("utf8", found));
}

const MARKS = '{}[],:"\\/bfnrtu0123456789-+.eE \t\n\r';
const WORDS = [
  "true",
  "false",
  "null",
  '""',
  '"a":',
  "\\u00e9",
  "\\ud800",
  "\u0001",
  "é",
  "x".repeat(70),
];

/** Text of the alphabet of JSON, most of which is none. */
const nearlyJson = fc
  .array(fc.constantFrom(...Array.from(MARKS), ...WORDS), { maxLength: 20 })
  .map((parts) => parts.join(""));

const json = fc.json({ maxDepth: 6, stringUnit: "binary" });

test("accepts every value that JSON.stringify makes, up to its last byte", () => {
  fc.assert(
    fc.property(json, fc.constantFrom(undefined, 1, "\t"), (text, indent) => {
      const bytes = Buffer.from(JSON.stringify(JSON.parse(text), undefined, indent));

      expect(validValueEnd(bytes, 0, DEEP)).toBe(bytes.length);
    }),
  );
});

test("agrees with JSON.parse on what is nearly JSON", () => {
  fc.assert(
    fc.property(nearlyJson, (text) => {
      expect(isWhole(Buffer.from(text))).toBe(parses(text));
    }),
    { numRuns: 3_000 },
  );
});

test("agrees with JSON.parse on values of which one byte was changed", () => {
  const strings = fc.string({ minLength: 20, maxLength: 200 });
  const changed = fc.record({
    text: fc.oneof(
      json,
      strings.map((text) => JSON.stringify([text, { [text]: text }])),
    ),
    at: fc.nat(),
    byte: fc.oneof(fc.nat(0x7f), fc.constantFrom(...Buffer.from(MARKS))),
  });
  fc.assert(
    fc.property(changed, ({ text, at, byte }) => {
      const bytes = Buffer.from(text, "latin1");
      bytes[at % bytes.length] = byte;
      const latin1 = bytes.toString("latin1");
      const ascii = Buffer.from(latin1.replaceAll(/[\u0080-\u00ff]/g, "?"));

      expect(isWhole(ascii)).toBe(parses(ascii.toString()));
    }),
    { numRuns: 3_000 },
  );
});

test("finds the same in pieces of any size as in the whole", () => {
  const strings = fc.string({ maxLength: 80, unit: "binary" }).map((text) => JSON.stringify(text));
  const texts = fc.oneof(
    json,
    nearlyJson,
    fc.array(fc.oneof(json, strings), { maxLength: 5 }).map((values) => `[${values.join(" , ")}]`),
  );
  const cuts = fc.array(fc.nat(), { maxLength: 8 });
  fc.assert(
    fc.property(texts, cuts, (text, places) => {
      const bytes = Buffer.from(`${text} `);
      const validator = new ValueValidator(DEEP);
      const ends = [...places.map((place) => place % bytes.length), bytes.length].toSorted(
        byNumber,
      );
      let before = 0;
      let stop = 0;
      for (const cut of ends) {
        if (validator.isWhole || validator.isBroken) break;
        // A piece of its own, at its own place in memory.
        stop = before + validator.read(Buffer.from(bytes.subarray(before, cut)));
        before = cut;
      }

      expect(validator.isWhole ? stop : -1).toBe(validValueEnd(bytes, 0, DEEP));
    }),
    { numRuns: 3_000 },
  );
});

function byNumber(a: number, b: number): number {
  return a - b;
}

describe("a long string", () => {
  const FILL = "x".repeat(200);

  test.for([
    ["of plain text", FILL, true],
    ["with escapes", `${FILL}\\"\\\\${FILL}\\u00e9${FILL}\\n`, true],
    ["with a control character far inside", `${FILL}\u001f${FILL}`, false],
    ["with a line break as it is", `${FILL}\n${FILL}`, false],
    ["with DEL and letters of other scripts", `${FILL}\u007fäöü中文🙂${FILL}`, true],
    ["with an unknown escape", `${FILL}\\x41${FILL}`, false],
    ["with a broken escape of a character", `${FILL}\\u00g9${FILL}`, false],
    ["that ends in the middle of an escape", `${FILL}\\`, false],
  ] as const)("%s", ([, content, isValid]) => {
    for (let shift = 0; shift < 8; shift += 1) {
      const text = `"${"y".repeat(shift)}${content}"`;

      expect(end(text) === Buffer.byteLength(text)).toBe(isValid);
    }
  });

  test("that nobody ends is none", () => {
    expect(end(`"${FILL}`)).toBe(-1);
    expect(end(`"${FILL}\\"`)).toBe(-1);
  });
});

test.for([
  ["[]", 1],
  ["{}", 1],
  ['{"a":[{}]}', 3],
  ["1", 0],
  ['["[[[["]', 1],
] as const)("%s is nested %d deep", ([text, depth]) => {
  expect(end(text, depth)).toBe(text.length);
  expect(depth === 0 ? -1 : end(text, depth - 1)).toBe(-1);
});

test.for([
  "01",
  "1.",
  ".5",
  "+1",
  "1e",
  "-",
  "NaN",
  "tru",
  "nul",
  "'a'",
  "[1,]",
  '{"a"}',
  "{a:1}",
  "",
])("%j is no value, or ends before its end", (text) => {
  expect(end(text) === text.length && text !== "").toBe(false);
});

test("stops at the end of the value, whatever follows", () => {
  expect(end('{"a":1} , "b":')).toBe(7);
});
