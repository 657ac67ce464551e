import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseConfig } from "../../src/config/load-config.ts";

const GUIDE = join(import.meta.dirname, "../../docs/guide/policies.md");
const BACKEND = "backends: [{name: docs, url: 'http://127.0.0.1:1/mcp'}]\n";

test("what the guide to policies shows is a configuration that starts", () => {
  const shown = [...readFileSync(GUIDE, "utf8").matchAll(/```yaml\n(?<text>.*?)```/gs)];
  const text = BACKEND + shown.map(({ groups }) => groups?.["text"] ?? "").join("");

  const { config, warnings } = parseConfig({ text, fileName: "vmcp.yaml", env: {} });

  expect(shown).toHaveLength(2);
  expect(warnings).toEqual([]);
  expect(config.authz?.policies).toHaveLength(4);
  expect(config.rateLimiting.tools).toHaveLength(1);
});
