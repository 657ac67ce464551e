import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";

const ROOT = resolve(import.meta.dirname, "../..");

/** The rows of the system that this project re-makes, each of which must hold here. */
const SEED_ROWS = Array.from({ length: 88 }, (_value, index) => `seed ${index + 1}`);

/** What others do not manage and this version shows, end to end. */
const ACCEPTANCE_ROWS = [
  "A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13 A14 A15 A16 A17 A18 A19 A20 A23",
  "B1 B2 B3 B4 B5 B6 B7 B8 B9 B10 B11 B14 B15 B17 B18",
].flatMap((rows) => rows.split(" "));

/**
 * Who is told from whom: rows of the table on authentication and isolation. The 18th is about workflows and the 29th about
 * an authorization server within the gateway; there are neither.
 */
const AUTH_ROWS = Array.from({ length: 30 }, (_value, index) => `auth A${index + 1}`).filter(
  (row) => row !== "auth A18" && row !== "auth A29",
);

function testTexts(folder: string): readonly string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => /\.(?:test|contract)\.ts$/.test(name))
    .map((name) => readFileSync(join(ROOT, folder, name), "utf8"));
}

/** The marks at the ends of test titles; one title may carry several. */
function marksIn(texts: readonly string[]): ReadonlySet<string> {
  const titles = texts.flatMap((text) => text.match(/(?:\[[^[\]\n]+\] ?)+["'`]/g) ?? []);
  return new Set(
    titles.flatMap((title) => title.match(/\[[^\]]+\]/g) ?? []).map((mark) => mark.slice(1, -1)),
  );
}

test("every row of the seed is shown by a test that carries its number", () => {
  const marks = marksIn([...testTexts("src"), ...testTexts("test")]);

  expect(SEED_ROWS.filter((row) => !marks.has(row))).toEqual([]);
});

test("every acceptance row of this version is shown end to end", () => {
  const marks = marksIn(testTexts("test/e2e"));

  expect(ACCEPTANCE_ROWS.filter((row) => !marks.has(row))).toEqual([]);
});

test("every row on authentication and isolation is shown by a test that carries its number", () => {
  const marks = marksIn([...testTexts("src"), ...testTexts("test/e2e")]);

  expect(AUTH_ROWS.filter((row) => !marks.has(row))).toEqual([]);
});
