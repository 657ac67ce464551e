import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";

const ROOT = resolve(import.meta.dirname, "../..");

function rows(letter: string, first: number, last: number): readonly string[] {
  return Array.from({ length: last - first + 1 }, (_value, index) => `${letter}${first + index}`);
}

/** What breaks (F), what races (R), and what must hold through all of it (I). */
const ROWS = [
  ...rows("F", 1, 21),
  "F30",
  "F32",
  ...rows("F", 34, 36),
  "F38",
  "F39",
  "F40",
  ...rows("R", 1, 9),
  ...rows("R", 12, 20),
  ...rows("I", 1, 14),
];

/** Rows that no test can show yet, each with the part of the gateway that they wait for. */
const WAITING: ReadonlyMap<string, string> = new Map();

/** The rows at the ends of test titles; one title may carry several, among marks of other kinds. */
function rowsIn(text: string): readonly string[] {
  const titles = text.match(/(?:\[[^[\]]+\] ?)+["'`]/g) ?? [];
  return titles.flatMap((title) => title.match(/(?<=\[)[FRI]\d+(?=\])/g) ?? []);
}

/** Where tests of the gateway are: those of the tests' own tools show nothing of it. */
const FOLDERS = ["src", "test/catalogue", "test/e2e"];

const shown: ReadonlySet<string> = new Set(
  FOLDERS.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => /\.(?:test|contract)\.ts$/.test(name))
      .flatMap((name) => rowsIn(readFileSync(join(ROOT, folder, name), "utf8"))),
  ),
);

test("every fault, race and invariant is shown by a test that carries its number", () => {
  const missing = ROWS.filter((row) => !shown.has(row) && !WAITING.has(row));

  expect(missing).toEqual([]);
});

test("what is shown does not wait any longer", () => {
  const shownAlready = [...WAITING.keys()].filter((row) => shown.has(row) || !ROWS.includes(row));

  expect(shownAlready).toEqual([]);
});

test.for<[string, readonly string[]]>([
  ['test("closing ends it [F1] [I2]", …)', ["F1", "I2"]],
  ["test.for([])(`%s is gone [A5] [R3]`, …)", ["R3"]],
  ['test("[F1] in front is no mark", …)', []],
  ['test("a [seed 3] [F11]", …)', ["F11"]],
])("the rows of %s are found", ([text, found]) => {
  expect(rowsIn(text)).toEqual(found);
});
