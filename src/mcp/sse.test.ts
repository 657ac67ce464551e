import * as fc from "fast-check";
import { expect, test } from "vitest";
import { VmcpError } from "../domain/errors.ts";
import { formatSseEvent, SseParser, type SseEvent } from "./sse.ts";

const MAX_EVENT_BYTES = 1_000;

function parse(...chunks: readonly Buffer[]): readonly SseEvent[] {
  const parser = new SseParser({ maxEventBytes: MAX_EVENT_BYTES });
  return chunks.flatMap((chunk) => parser.push(chunk));
}

function shown(events: readonly SseEvent[]): readonly object[] {
  return events.map((event) => ({ ...event, data: event.data.toString() }));
}

const NONE = { id: undefined, event: undefined, retry: undefined };

test.for<readonly [string, string, readonly object[]]>([
  ["LF", "data: a\n\n", [{ ...NONE, data: "a" }]],
  ["CRLF", "data: a\r\n\r\n", [{ ...NONE, data: "a" }]],
  [
    "CR",
    "data: a\r\rdata: b\r\r",
    [
      { ...NONE, data: "a" },
      { ...NONE, data: "b" },
    ],
  ],
  ["a CR line followed by an LF line", "data: a\rdata: b\n\n", [{ ...NONE, data: "a\nb" }]],
  ["no space after the colon", "data:a\n\n", [{ ...NONE, data: "a" }]],
  ["only the first space is dropped", "data:  a\n\n", [{ ...NONE, data: " a" }]],
  ["several data lines", "data: a\ndata\ndata: b\n\n", [{ ...NONE, data: "a\n\nb" }]],
  ["comments and unknown fields", ": hi\nfoo: bar\ndata: a\n:\n\n", [{ ...NONE, data: "a" }]],
  ["a byte order mark", "\uFEFFdata: a\n\n", [{ ...NONE, data: "a" }]],
  [
    "id and event",
    "id: 7\nevent: message\ndata: a\n\n",
    [{ ...NONE, id: "7", event: "message", data: "a" }],
  ],
  ["a priming event", "id: 7\nretry: 3000\n\n", [{ ...NONE, id: "7", retry: 3_000, data: "" }]],
  ["an id with NUL", "id: 1\0\ndata: a\n\n", [{ ...NONE, data: "a" }]],
  ["a negative retry", "retry: -5\ndata: a\n\n", [{ ...NONE, data: "a" }]],
  ["blank lines alone", "\n\n\n", []],
  ["an event without its blank line", "data: a\n", []],
  ["fields that only begin alike", "dataset: x\ndat: y\ndata: a\n\n", [{ ...NONE, data: "a" }]],
])("reads %s", ([, text, expected]) => {
  const events = parse(Buffer.from(text));

  expect(shown(events)).toEqual(expected);
});

test("fields of one event do not leak into the next", () => {
  const events = parse(Buffer.from("id: 1\nevent: x\nretry: 5\ndata: a\n\ndata: b\n\n"));

  expect(shown(events)[1]).toEqual({ ...NONE, data: "b" });
});

test("however the bytes are cut, the events are the same", () => {
  const line = fc.constantFrom("data: é✓🎉", "data: {}", "id: x", ": c", "retry: 9", "data", "");
  const end = fc.constantFrom("\n", "\r\n", "\r");
  fc.assert(
    fc.property(
      fc.array(fc.tuple(line, end), { maxLength: 30 }),
      fc.array(fc.nat({ max: 400 }), { maxLength: 40 }),
      (lines, cuts) => {
        const bytes = Buffer.from(lines.flat().join(""));
        const bounds = [0, ...cuts.filter((cut) => cut < bytes.length), bytes.length];
        const sorted = bounds.toSorted((a, b) => a - b);
        const chunks = sorted.slice(1).map((to, index) => bytes.subarray(sorted[index], to));

        const cut = parse(...chunks);

        expect(shown(cut)).toEqual(shown(parse(bytes)));
      },
    ),
  );
});

test.for<readonly [string, readonly string[]]>([
  ["a line that never ends", Array.from({ length: 30 }, () => "x".repeat(50))],
  [
    "data lines without a blank line",
    Array.from({ length: 30 }, () => `data: ${"x".repeat(50)}\n`),
  ],
  ["one long line in one chunk", [`data: ${"x".repeat(2_000)}\n\n`]],
])("refuses %s", ([, chunks]) => {
  const act = (): unknown => parse(...chunks.map((chunk) => Buffer.from(chunk)));

  expect(act).toThrow(VmcpError);
  expect(act).toThrow(expect.objectContaining({ code: "backend_too_large" }));
});

test("comments may go on for ever", () => {
  const comments = Array.from({ length: 200 }, () => Buffer.from(": keep-alive\n"));

  const events = parse(...comments, Buffer.from("data: a\n\n"));

  expect(shown(events)).toEqual([{ ...NONE, data: "a" }]);
});

test("an event of exactly the cap passes", () => {
  const line = `data:${"x".repeat(MAX_EVENT_BYTES - 5)}`;

  const events = parse(Buffer.from(`${line}\n\n`));

  expect(events[0]?.data.length).toBe(MAX_EVENT_BYTES - 5);
});

test("what is written is read back, whatever is in it", () => {
  const word = fc.string({ minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(word, word, fc.jsonValue(), (id, event, value) => {
      const data = Buffer.from(JSON.stringify(value, undefined, 2));

      const parser = new SseParser({ maxEventBytes: 1_000_000 });
      const [read, ...others] = parser.push(formatSseEvent({ id, event, data }));

      expect(others).toEqual([]);
      expect(JSON.parse(String(read?.data))).toEqual(JSON.parse(data.toString()));
    }),
  );
});

test("neither text nor an id can forge another event", () => {
  const bytes = formatSseEvent({
    id: "1\n\ndata: forged\n\n",
    data: Buffer.from('{"text":\r\n\r\n"x"}'),
  });

  const events = parse(bytes);

  expect(shown(events)).toEqual([{ ...NONE, id: "1data: forged", data: '{"text":    "x"}' }]);
});
