import type { LoadedConfig, ParseOptions } from "../load-config.ts";
import { parseConfig } from "../load-config.ts";
import { ConfigError } from "../problems.ts";

/** For tests: reads a YAML text as `vmcp.yaml` in an empty environment. */
export function parse(text: string, options: Partial<ParseOptions> = {}): LoadedConfig {
  return parseConfig({ env: {}, fileName: "vmcp.yaml", ...options, text });
}

/** For tests: what is wrong with a text, as `path: message`; empty where nothing is. */
export function problemsOf(text: string, options: Partial<ParseOptions> = {}): readonly string[] {
  try {
    parse(text, options);
    return [];
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    return thrown.problems.map(({ path, message }) => `${path}: ${message}`);
  }
}

/** For tests: the paths of what is wrong. */
export function problemPathsOf(
  text: string,
  options: Partial<ParseOptions> = {},
): readonly string[] {
  return problemsOf(text, options).map((line) => line.slice(0, line.indexOf(": ")));
}
