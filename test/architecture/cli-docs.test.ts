import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { renderCliReference, renderExitCodes } from "../../src/cli/reference.ts";

const REFERENCE = join(import.meta.dirname, "../../docs/reference");

const GENERATED = [
  { file: "cli.md", render: renderCliReference },
  { file: "exit-codes.md", render: renderExitCodes },
] as const;

test.for(GENERATED)(
  "docs/reference/$file is what the table says (UPDATE_DOCS=1 rewrites it)",
  ({ file, render }) => {
    const path = join(REFERENCE, file);
    const current = render();
    if (process.env["UPDATE_DOCS"] === "1") {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, current);
    }

    const committed = readFileSync(path, "utf8");

    expect(committed).toBe(current);
  },
);
