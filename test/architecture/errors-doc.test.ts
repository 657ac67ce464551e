import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { everyCode, renderErrors } from "./errors-reference.ts";

const PAGE = join(import.meta.dirname, "../../docs/reference/errors.md");

/** Takes away what the formatter may change: the width of table columns. */
function withoutPadding(markdown: string): string {
  return markdown
    .replaceAll(/ *\| */g, "|")
    .replaceAll(/-{3,}/g, "---")
    .trim();
}

test("docs/reference/errors.md is what the source says (UPDATE_DOCS=1 rewrites it)", () => {
  const current = renderErrors();
  if (process.env["UPDATE_DOCS"] === "1") writeFileSync(PAGE, current);

  const committed = readFileSync(PAGE, "utf8");

  expect(withoutPadding(committed)).toBe(withoutPadding(current));
});

test("the page has one row for each code", () => {
  const rows = [...renderErrors().matchAll(/^\| `(\w+)` \|/gm)].map(([, code]) => code ?? "");

  expect(rows).toHaveLength(everyCode().length);
  expect(new Set(rows)).toEqual(new Set(everyCode()));
});
