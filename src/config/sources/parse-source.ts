import { basename, extname } from "node:path";
import { ConfigError } from "../problems.ts";
import { parseJson } from "./parse-json.ts";
import { parseToml } from "./parse-toml.ts";
import { parseYaml } from "./parse-yaml.ts";
import type { ParsedSource, SourceLimits, SourceTree } from "./source-tree.ts";

export type ConfigFormat = "yaml" | "json" | "toml";

const LIMITS: SourceLimits & { readonly maxBytes: number } = {
  maxBytes: 1024 ** 2,
  maxKeys: 5000,
  maxDepth: 64,
};

/** One client keeps its whole history in the file that also lists its servers. */
const HISTORY_FILE = ".claude.json";
const HISTORY_LIMITS: typeof LIMITS = { maxBytes: 16 * 1024 ** 2, maxKeys: 500_000, maxDepth: 64 };

const PARSERS: Readonly<
  Record<ConfigFormat, (text: string, file: string, limits: SourceLimits) => ParsedSource>
> = { yaml: parseYaml, json: parseJson, toml: parseToml };

/** How large the file of this name may be: 1 MiB, 5,000 keys and 64 levels, with one exception. */
export function limitsFor(fileName: string): typeof LIMITS {
  return basename(fileName) === HISTORY_FILE ? HISTORY_LIMITS : LIMITS;
}

/** Reads a configuration text into plain values with places; throws `ConfigError` with every fault of the text. */
export function parseSource(text: string, fileName: string, format?: ConfigFormat): SourceTree {
  const limits = limitsFor(fileName);
  const parsed = PARSERS[format ?? formatOf(fileName, text)](text, fileName, limits);
  if (parsed.problems.length > 0) throw new ConfigError(parsed.problems);
  return parsed.tree;
}

/** By extension, and by the first character where that says nothing. */
export function formatOf(fileName: string, text: string): ConfigFormat {
  switch (extname(fileName).toLowerCase()) {
    case ".json":
    case ".jsonc":
      return "json";
    case ".toml":
      return "toml";
    case ".yaml":
    case ".yml":
      return "yaml";
    default:
      return text.trimStart().startsWith("{") ? "json" : "yaml";
  }
}
