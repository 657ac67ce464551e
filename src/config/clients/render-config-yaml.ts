import { stringify } from "yaml";
import type { RawObject } from "../raw-values.ts";
import type { SecretVariable } from "./hide-secrets.ts";

/** Writes a configuration of ours as YAML, headed by the variables that it needs. The text loads as it is. */
export function renderConfigYaml(
  input: RawObject,
  variables: readonly SecretVariable[] = [],
): string {
  const text = stringify(input, {
    lineWidth: 0,
    // Aliases would count against the limit of the loader, and nobody reads them.
    aliasDuplicateObjects: false,
  });
  if (variables.length === 0) return text;
  const lines = variables.map(({ name, usedBy }) => `#   ${name}  (${oneLine(usedBy)})`);
  return `# Set these variables before the start:\n${lines.join("\n")}\n\n${text}`;
}

/** Names come from other programs' files and must not end the comment. */
function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029]/gu, " ");
}
