import type { Node, ParseError } from "jsonc-parser";
import { createScanner, findNodeAtLocation, parseTree, printParseErrorCode } from "jsonc-parser";
import type { ConfigPath } from "../problems.ts";
import type { ParsedSource, SourceLimits } from "./source-tree.ts";
import { positionsIn, tooDeep, TreeBuilder } from "./source-tree.ts";

const MAX_SYNTAX_FAULTS = 20;

/** Kinds of tokens; the library declares them as a const enum, which cannot be imported. */
const END: number = 17;
const OPENERS: ReadonlySet<number> = new Set([1, 3]);
const CLOSERS: ReadonlySet<number> = new Set([2, 4]);

/** Reads JSON with comments and trailing commas into plain values. Duplicate keys are faults. */
export function parseJson(text: string, file: string, limits: SourceLimits): ParsedSource {
  const builder = new TreeBuilder(file, limits, positionsIn(text));
  if (isTooDeep(text, limits)) {
    builder.fault(0, [], tooDeep(limits));
    return builder.finish(undefined);
  }
  const errors: ParseError[] = [];
  const root = parseTree(text, errors, { allowTrailingComma: true });
  for (const { error, offset } of errors.slice(0, MAX_SYNTAX_FAULTS)) {
    builder.fault(offset, [], `is not JSON here: ${inWords(printParseErrorCode(error))}`);
  }
  if (root === undefined) return builder.finish(undefined);
  // A history file has too many values to remember the place of each.
  return builder.finish(read(root, [], builder), (path) => offsetAt(root, path));
}

/** Where the key or item at a path begins. */
function offsetAt(root: Node, path: ConfigPath): number | undefined {
  const node = findNodeAtLocation(root, [...path]);
  return node?.parent?.type === "property" ? node.parent.offset : node?.offset;
}

/** Asked before parsing, because the parser is recursive. */
function isTooDeep(text: string, { maxDepth }: SourceLimits): boolean {
  const scanner = createScanner(text, true);
  let depth = 0;
  for (let token: number = scanner.scan(); token !== END; token = scanner.scan()) {
    if (OPENERS.has(token)) depth += 1;
    if (CLOSERS.has(token)) depth -= 1;
    if (depth > maxDepth) return true;
  }
  return false;
}

function read(node: Node, path: ConfigPath, builder: TreeBuilder): unknown {
  if (node.type !== "object" && node.type !== "array") return node.value;
  if (!builder.mayEnter(path, node.offset)) return undefined;
  return node.type === "array" ? readArray(node, path, builder) : readObject(node, path, builder);
}

function readArray(node: Node, path: ConfigPath, builder: TreeBuilder): unknown[] {
  const list: unknown[] = [];
  for (const [index, item] of (node.children ?? []).entries()) {
    if (!builder.mayAdd([...path, index], item.offset)) return list;
    list.push(read(item, [...path, index], builder));
  }
  return list;
}

function readObject(node: Node, path: ConfigPath, builder: TreeBuilder): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  for (const property of node.children ?? []) {
    const [keyNode, valueNode] = property.children ?? [];
    if (keyNode === undefined || valueNode === undefined) continue;
    const key = String(keyNode.value);
    if (!builder.mayKey(object, path, key, keyNode.offset)) continue;
    object[key] = read(valueNode, [...path, key], builder);
  }
  return object;
}

/** `CommaExpected` → `comma expected`. */
function inWords(code: string): string {
  return code.replaceAll(/(?<=[a-z])(?=[A-Z])/g, " ").toLowerCase();
}
