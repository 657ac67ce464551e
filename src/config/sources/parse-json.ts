import type { Node, ParseError } from "jsonc-parser";
import { parseTree, printParseErrorCode } from "jsonc-parser";
import type { ConfigPath } from "../problems.ts";
import type { ParsedSource, SourceLimits } from "./source-tree.ts";
import { positionsIn, TreeBuilder } from "./source-tree.ts";

const MAX_SYNTAX_FAULTS = 20;

/** Reads JSON with comments and trailing commas into plain values. Duplicate keys are faults. */
export function parseJson(text: string, file: string, limits: SourceLimits): ParsedSource {
  const builder = new TreeBuilder(file, limits, positionsIn(text));
  const errors: ParseError[] = [];
  const root = parseShallow(text, errors);
  for (const { error, offset } of errors.slice(0, MAX_SYNTAX_FAULTS)) {
    builder.fault(offset, [], `is not JSON here: ${inWords(printParseErrorCode(error))}`);
  }
  if (root === "too deep") builder.fault(0, [], `is nested deeper than ${String(limits.maxDepth)}`);
  if (root === undefined || root === "too deep") return builder.finish(undefined);
  return builder.finish(read(root, [], builder));
}

function parseShallow(text: string, errors: ParseError[]): Node | "too deep" | undefined {
  try {
    return parseTree(text, errors, { allowTrailingComma: true });
  } catch (thrown) {
    // The parser is recursive, so very deep nesting exhausts the stack.
    if (thrown instanceof RangeError) return "too deep";
    throw thrown;
  }
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
    builder.place([...path, index], item.offset);
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
    builder.place([...path, key], keyNode.offset);
    object[key] = read(valueNode, [...path, key], builder);
  }
  return object;
}

/** `CommaExpected` → `comma expected`. */
function inWords(code: string): string {
  return code.replaceAll(/(?<=[a-z])(?=[A-Z])/g, " ").toLowerCase();
}
