import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { everyCode, renderErrors } from "./errors-reference.ts";

const PAGE = join(import.meta.dirname, "../../docs/reference/errors.md");

test("docs/reference/errors.md is what the source says (UPDATE_DOCS=1 rewrites it)", () => {
  const current = renderErrors();
  if (process.env["UPDATE_DOCS"] === "1") writeFileSync(PAGE, current);

  const committed = readFileSync(PAGE, "utf8");

  expect(committed).toBe(current);
});

test("the page has one row for each code", () => {
  const rows = [...renderErrors().matchAll(/^\| `(\w+)` \|/gm)].map(([, code]) => code ?? "");

  expect(rows).toHaveLength(everyCode().length);
  expect(new Set(rows)).toEqual(new Set(everyCode()));
});
