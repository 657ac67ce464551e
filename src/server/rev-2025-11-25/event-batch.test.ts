import * as fc from "fast-check";
import { expect, test } from "vitest";
import { SseParser } from "../../mcp/sse.ts";
import { EventBatch } from "./event-batch.ts";

function batchOf(texts: readonly string[], firstNumber: number, prefix?: string): EventBatch {
  const messages = texts.map((text) => Buffer.from(text));
  return new EventBatch("s", firstNumber, messages, prefix);
}

function read(bytes: Buffer): readonly string[] {
  const events = new SseParser({ maxEventBytes: 100_000 }).push(bytes);
  return events.map(({ id, data }) => `${id} ${data.toString()}`);
}

test("a reader finds every message under its number, behind the prefix", () => {
  const batch = batchOf(["a", "ü", "c"], 7, "id: s-6\ndata: \n\n");

  expect(read(batch.bytes)).toEqual(["s-6 ", "s-7 a", "s-8 ü", "s-9 c"]);
  expect(read(batch.after(6))).toEqual(["s-7 a", "s-8 ü", "s-9 c"]);
});

test("line breaks of a message do not break its event", () => {
  expect(read(batchOf(["{\n\r\n}"], 1).bytes)).toEqual(["s-1 {   }"]);
});

test("what comes after an event is the same whichever events were dropped before it", () => {
  const texts = fc.array(fc.string({ unit: "grapheme" }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(texts, fc.nat(8), fc.nat(8), (given, drops, from) => {
      const whole = batchOf(given, 1, "id: s-0\n\n");
      const dropped = Math.min(drops, given.length);
      const batch = batchOf(given, 1, "id: s-0\n\n");

      for (let count = 0; count < dropped; count += 1) batch.dropFirst();

      const after = Math.max(from, dropped);
      expect(batch.after(after)).toEqual(whole.after(after));
      expect(batch.after(0)).toEqual(whole.after(dropped));
      expect(batch.count).toBe(given.length - dropped);
      expect(batch.keptBytes).toBe(whole.after(dropped).length);
      expect(batch.firstNumber).toBe(dropped + 1);
      expect(batch.lastNumber).toBe(given.length);
    }),
  );
});
