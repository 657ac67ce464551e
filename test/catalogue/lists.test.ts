import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readCatalogue } from "./entry.ts";
import { EXCEPTIONS } from "./exceptions.ts";
import { WAITING } from "./waiting.ts";

const shipped = readCatalogue(readFileSync(join(import.meta.dirname, "bad-inputs.json"), "utf8"));
const ids = shipped.map(({ id }) => id);
const listed = [...WAITING.values()].flat();
const excepted = EXCEPTIONS.map(({ id }) => id);

test("every entry of the catalogue can be read, and has an id of its own", () => {
  expect(shipped.filter(({ problem }) => problem !== undefined)).toEqual([]);
  expect(new Set(ids).size).toBe(ids.length);
});

test("what waits or is excepted is in the catalogue, once", () => {
  const named = [...listed, ...excepted];

  expect(named.filter((id) => !ids.includes(id))).toEqual([]);
  expect(new Set(named).size).toBe(named.length);
});
