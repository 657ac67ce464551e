import { parse, TomlDate, TomlError } from "smol-toml";
import type { ConfigPath } from "../problems.ts";
import { isRawObject } from "../raw-values.ts";
import type { ParsedSource, Position, SourceLimits } from "./source-tree.ts";
import { TreeBuilder } from "./source-tree.ts";

/** Reads TOML into plain values. Places are known by line of the table header only. */
export function parseToml(text: string, file: string, limits: SourceLimits): ParsedSource {
  const lines = text.split(/\r?\n/);
  try {
    const value = toPlain(parse(text, { maxDepth: limits.maxDepth }));
    return { tree: { value, locate: (path) => locateTable(lines, path) }, problems: [] };
  } catch (thrown) {
    if (!(thrown instanceof TomlError)) throw thrown;
    const builder = new TreeBuilder(file, limits, () => positionOf(thrown));
    // Further lines of the message quote the source, which may hold secrets.
    builder.fault(0, [], thrown.message.split("\n")[0] ?? "is not TOML");
    return builder.finish(undefined);
  }
}

function positionOf({ line, column }: TomlError): Position {
  return { line, column };
}

function locateTable(lines: readonly string[], path: ConfigPath): Position {
  for (let length = path.length; length > 0; length -= 1) {
    const header = `[${path.slice(0, length).join(".")}]`;
    const index = lines.findIndex((line) => line.trim() === header);
    if (index !== -1) return { line: index + 1, column: 1 };
  }
  return { line: 1, column: 1 };
}

/** The library's objects have no prototype; and a date is a text to everyone after this. */
function toPlain(value: unknown): unknown {
  if (value instanceof TomlDate) return value.toISOString();
  if (Array.isArray(value)) return value.map((item) => toPlain(item));
  if (!isRawObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toPlain(item)]));
}
