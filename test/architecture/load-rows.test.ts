import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { heapSlope, type Sample } from "../../bench/soak/watch.ts";

const ROOT = join(import.meta.dirname, "../..");
const ROWS = ["L3", "L4", "L5", "L6", "L7", "L8", "L10", "L11", "L12", "L13", "L14"];

/** What every row's file gives, and nothing else in that folder does. */
interface Row {
  readonly title: string;
  readonly run: (options: { readonly isFull: boolean }) => Promise<unknown>;
}

const RUNNER = readFileSync(join(ROOT, "bench/rows/run.mjs"), "utf8");

test.for(ROWS)("load row %s can be run, and its figures are in the docs", async (id) => {
  const file = new RegExp(`\\["${id}", "(?<file>[a-z-]+)"\\]`).exec(RUNNER)?.groups?.["file"];
  // A module without types, whose form is what this test is about.
  const row = (await import(`../../bench/rows/${file}.mjs`)) as Row;
  const docs = readFileSync(join(ROOT, "docs/design/robustness.md"), "utf8");

  expect(row.title).not.toBe("");
  expect(row.run).toBeTypeOf("function");
  expect(docs).toMatch(new RegExp(`^\\| ${id} `, "m"));
});

test("the runner knows every row that there is", () => {
  const rows = readdirSync(join(ROOT, "bench/rows")).filter((name) =>
    readFileSync(join(ROOT, "bench/rows", name), "utf8").includes("export const title"),
  );

  expect(rows).toHaveLength(ROWS.length);
});

/** One sample a minute of a heap that begins with 25 MiB. */
function hour(heapMib: (minute: number) => number): readonly Sample[] {
  return Array.from({ length: 60 }, (_value, minute) => ({
    atMs: minute * 60_000,
    heapBytes: (25 + heapMib(minute)) * 1_048_576,
    codeBytes: 5 * 1_048_576,
    rssBytes: 0,
    descriptors: 0,
    sockets: 0,
    children: 0,
    zombies: 0,
    loopDelayP99Ms: 0,
    stolenShare: 0,
  }));
}

test.for<[string, (minute: number) => number, number]>([
  ["a heap that stays", () => 0, 0],
  ["a heap that grows", (minute) => minute / 20, 3],
  ["a heap that shrinks", (minute) => -minute / 60, -1],
  ["what happens before the last four fifths", (minute) => (minute < 12 ? minute : 0), 0],
])("the slope of %s is found [I8]", ([_what, heapMib, expected]) => {
  const slope = heapSlope(hour(heapMib));

  expect(slope?.mbPerHour).toBeCloseTo(expected, 6);
  expect(slope?.plusMinus).toBeCloseTo(0, 6);
});

test("code that is compiled in that hour is no slope of what is kept, and one of the whole heap [I8]", () => {
  const samples = hour((minute) => minute / 20).map((sample) => ({
    ...sample,
    codeBytes: sample.heapBytes - 20 * 1_048_576,
  }));

  expect(heapSlope(samples)?.mbPerHour).toBeCloseTo(0, 6);
  expect(heapSlope(samples, ({ heapBytes }) => heapBytes)?.mbPerHour).toBeCloseTo(3, 6);
});

test("a slope within the noise says how little it is known [I8]", () => {
  const slope = heapSlope(hour((minute) => (minute % 2 === 0 ? 1 : -1)));

  expect(Math.abs(slope?.mbPerHour ?? Number.NaN)).toBeLessThan(slope?.plusMinus ?? 0);
});

test("a few samples have no slope", () => {
  expect(heapSlope(hour(() => 0).slice(0, 9))).toBeUndefined();
});
