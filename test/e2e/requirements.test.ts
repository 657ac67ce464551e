import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { REQUIREMENTS } from "./requirements.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const CITATION = /\[spec:([\w-]+)\]/g;

/** Every id that a test file cites, whether in a title or in a comment. */
const cited: ReadonlySet<string> = new Set(
  ["src", "test"]
    .flatMap((folder) => testFiles(join(ROOT, folder)))
    .flatMap((file) => [...readFileSync(file, "utf8").matchAll(CITATION)])
    .flatMap(([, id]) => id ?? []),
);

function testFiles(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => join(folder, name));
}

test("every requirement has an id of its own", () => {
  const ids = REQUIREMENTS.map(({ id }) => id);

  expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
});

test("every requirement that is met, and every one that is not on purpose, is cited by a test", () => {
  const shown = REQUIREMENTS.filter(({ status }) => status !== "elsewhere");

  expect(shown.filter(({ id }) => !cited.has(id)).map(({ id }) => id)).toEqual([]);
});

test("every id that a test cites is a requirement", () => {
  const known = new Set(REQUIREMENTS.map(({ id }) => id));

  expect([...cited].filter((id) => !known.has(id))).toEqual([]);
});

test("a requirement that a test shows is not listed as one of a part to come", () => {
  const toCome = REQUIREMENTS.filter(({ status }) => status === "elsewhere");

  expect(toCome.filter(({ id }) => cited.has(id)).map(({ id }) => id)).toEqual([]);
});

test("what is unmet is counted, each with its reason", () => {
  const unmet = REQUIREMENTS.filter(({ status }) => status !== undefined);
  const lines = unmet.map(
    ({ id, level, sentence, status, reason }) =>
      `  ${status} ${id} (${level}) ${sentence} – ${reason}`,
  );

  console.log(`${REQUIREMENTS.length} requirements, ${unmet.length} unmet:\n${lines.join("\n")}`);

  expect(unmet.filter(({ reason }) => reason === undefined)).toEqual([]);
});
