import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { renderJsonSchema, renderReference } from "../../src/config/reference.ts";

const REFERENCE = join(import.meta.dirname, "../../docs/reference");

/** Takes away what the formatter may change: the width of table columns. */
function withoutPadding(markdown: string): string {
  return markdown.replaceAll(/ {2,}/g, " ").replaceAll(/-{3,}/g, "---").trim();
}

const GENERATED = [
  { file: "config.md", render: renderReference, contentOf: withoutPadding },
  {
    file: "config.schema.json",
    render: renderJsonSchema,
    contentOf: (text: string): unknown => JSON.parse(text),
  },
] as const;

test.for(GENERATED)(
  "docs/reference/$file is what the schema says (UPDATE_DOCS=1 rewrites it)",
  ({ file, render, contentOf }) => {
    const path = join(REFERENCE, file);
    const current = render();
    if (process.env["UPDATE_DOCS"] === "1") {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, current);
    }

    const committed = readFileSync(path, "utf8");

    expect(contentOf(committed)).toEqual(contentOf(current));
  },
);
