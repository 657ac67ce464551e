import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { supportedFields } from "./schema-fields.ts";

/** Fields that nothing can be shown of, by why that is so. */
const WITHOUT_EFFECT: readonly (readonly [RegExp, string])[] = [
  [/^outgoingAuth\.(?:default|backends\.NAME)\.obo\b/, "the type that they belong to is refused"],
  [/^admin\./, "the only listener that can be configured is none"],
];

/** The beginning of a title: the path of the field that the test shows. */
const TITLE = /["`](?<path>[a-z][\w.[\]]*): /g;
/** A title of a table whose rows go on with the rest of the path. */
const TITLE_PREFIX = /["`](?<path>[a-z][\w.[\]]*\.)%s["`]/g;

const FIELDS = supportedFields();

const PATHS: ReadonlySet<string> = new Set(FIELDS.map(({ path }) => path));

function capturedPaths(source: string, pattern: RegExp): readonly string[] {
  return [...source.matchAll(pattern)].flatMap((match) => match.groups?.["path"] ?? []);
}

/** The paths in the titles of one file. */
function shownIn(source: string): readonly string[] {
  const titles = capturedPaths(source, TITLE);
  const prefixes = capturedPaths(source, TITLE_PREFIX);
  if (prefixes.length === 0) return titles;
  return prefixes.flatMap((prefix) => titles.map((title) => `${prefix}${title}`));
}

const SHOWN = readdirSync(import.meta.dirname)
  .filter((name) => name.endsWith(".test.ts") && name !== "every-knob.test.ts")
  .flatMap((name) => shownIn(readFileSync(join(import.meta.dirname, name), "utf8")));

test("every field of the configuration has a test that shows what it changes", () => {
  const shown = new Set(SHOWN);
  const silent = FIELDS.filter(({ isFixed }) => !isFixed)
    .map(({ path }) => path)
    .filter((path) => !shown.has(path))
    .filter((path) => !WITHOUT_EFFECT.some(([pattern]) => pattern.test(path)));

  expect(silent).toEqual([]);
});

test("every title that begins with a path names a field of the configuration", () => {
  expect(SHOWN.filter((path) => !PATHS.has(path))).toEqual([]);
});

test.for(WITHOUT_EFFECT)("%s matches fields, and none that a test shows", ([pattern]) => {
  expect([...PATHS].some((path) => pattern.test(path))).toBe(true);
  expect(SHOWN.filter((path) => pattern.test(path))).toEqual([]);
});
