import { readFileSync } from "node:fs";

/** The version of this package, from its own package.json, which stands two folders above both source and build. */
export function packageVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  // The file ships with the package.
  return (JSON.parse(text) as { version: string }).version;
}
