import type { Document, Node, Pair, YAMLMap, YAMLSeq } from "yaml";
import { isAlias, isMap, isScalar, isSeq, Lexer, parseDocument } from "yaml";
import type { ConfigPath } from "../problems.ts";
import type { ParsedSource, SourceLimits } from "./source-tree.ts";
import { positionsIn, tooDeep, tooMany, TreeBuilder } from "./source-tree.ts";

/** Each use of an alias counts, also those inside of what another alias repeats. */
const MAX_ALIAS_USES = 50;
/** Syntax faults tend to cause each other; the first ones are the ones to repair. */
const MAX_SYNTAX_FAULTS = 20;

/** Each level of block nesting takes a column at least. */
const DEEP_INDENT = /^[ ]{257}/m;

const PLAIN_TAGS: ReadonlySet<string> = new Set(
  ["str", "int", "float", "bool", "null", "map", "seq"].map((name) => `tag:yaml.org,2002:${name}`),
);

/** Where the library speaks to programmers. */
const WORDING = new Map<string, string>([
  ["MULTIPLE_DOCS", "the file holds a second document; keep one"],
]);

/**
 * Reads one YAML 1.2 document into plain values. Duplicate keys, several documents, tags that would make
 * anything but plain values, and more than 50 uses of aliases are faults, and so is what `yaml` only warns of.
 */
export function parseYaml(text: string, file: string, limits: SourceLimits): ParsedSource {
  const positionOf = positionsIn(text);
  const builder = new TreeBuilder(file, limits, positionOf);
  const excess = excessOf(text, limits);
  if (excess !== undefined) {
    builder.fault(0, [], excess);
    return builder.finish(undefined);
  }
  const document = parseDocument(text, {
    // The library's own check of unique keys takes quadratic time; the walk below does it.
    uniqueKeys: false,
    strict: true,
    schema: "core",
    merge: false,
    // Its pretty messages quote source lines, which may hold secrets.
    prettyErrors: false,
  });
  for (const { pos, code, message } of document.errors.slice(0, MAX_SYNTAX_FAULTS)) {
    builder.fault(pos[0], [], WORDING.get(code) ?? withoutQuotes(message));
  }
  for (const { pos, code, message } of document.warnings) {
    // The walk reports unknown tags, with their path.
    if (code !== "TAG_RESOLVE_FAILED") builder.fault(pos[0], [], withoutQuotes(message));
  }
  const walk = new YamlWalk(document, builder);
  return builder.finish(walk.read(document.contents, []));
}

/**
 * What is too much about a text, found before parsing: many keys take the parser minutes, and its recursion
 * over deep nesting can end the process, because an engine that runs out of stack in a regular expression
 * does not throw.
 */
function excessOf(text: string, limits: SourceLimits): string | undefined {
  if (DEEP_INDENT.test(text)) return tooDeep(limits);
  let values = 0;
  let flowDepth = 0;
  let blocksInLine = 0;
  for (const token of new Lexer().lex(text)) {
    if (token === ":" || token === "-" || token === ",") values += 1;
    if (token === "[" || token === "{") flowDepth += 1;
    if (token === "]" || token === "}") flowDepth -= 1;
    if (token === "-" || token === "?") blocksInLine += 1;
    if (token === "\n") blocksInLine = 0;
    if (values > limits.maxKeys) return tooMany(limits);
    if (flowDepth > limits.maxDepth || blocksInLine > limits.maxDepth) return tooDeep(limits);
  }
  return undefined;
}

class YamlWalk {
  readonly #document: Document;
  readonly #builder: TreeBuilder;
  #aliasUses = 0;

  constructor(document: Document, builder: TreeBuilder) {
    this.#document = document;
    this.#builder = builder;
  }

  read(node: unknown, path: ConfigPath): unknown {
    if (isAlias(node)) return this.#readAlias(node, path);
    if (isScalar(node)) return this.#hasPlainTag(node, path) ? node.value : null;
    if (isMap(node)) return this.#enter(node, path, () => this.#readMap(node, path), {});
    if (isSeq(node)) return this.#enter(node, path, () => this.#readSeq(node, path), []);
    return null;
  }

  #enter(node: Node, path: ConfigPath, read: () => unknown, otherwise: unknown): unknown {
    if (!this.#hasPlainTag(node, path)) return otherwise;
    return this.#builder.mayEnter(path, offsetOf(node)) ? read() : otherwise;
  }

  #readAlias(node: Node & { resolve(document: Document): unknown }, path: ConfigPath): unknown {
    this.#aliasUses += 1;
    if (this.#aliasUses === MAX_ALIAS_USES + 1) {
      const message = `aliases are used more than ${String(MAX_ALIAS_USES)} times`;
      this.#builder.fault(offsetOf(node), path, message);
    }
    if (this.#aliasUses > MAX_ALIAS_USES) return null;
    const target = node.resolve(this.#document);
    if (target === undefined) {
      this.#builder.fault(offsetOf(node), path, "uses an alias that is not defined before");
    }
    return this.read(target, path);
  }

  #readSeq(node: YAMLSeq, path: ConfigPath): unknown[] {
    const list: unknown[] = [];
    for (const [index, item] of node.items.entries()) {
      const offset = offsetOf(item);
      if (!this.#builder.mayAdd([...path, index], offset)) return list;
      this.#builder.place([...path, index], offset);
      list.push(this.read(item, [...path, index]));
    }
    return list;
  }

  #readMap(node: YAMLMap, path: ConfigPath): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    for (const pair of node.items) this.#readPair(pair, path, object);
    return object;
  }

  #readPair(pair: Pair, path: ConfigPath, object: Record<string, unknown>): void {
    const offset = offsetOf(pair.key);
    if (!isScalar(pair.key)) {
      this.#builder.fault(offset, path, "has a key that is not a plain word");
      return;
    }
    const key = String(pair.key.source ?? pair.key.value);
    if (!this.#builder.mayKey(object, path, key, offset)) return;
    this.#builder.place([...path, key], offset);
    object[key] = this.read(pair.value, [...path, key]);
  }

  #hasPlainTag(node: Node, path: ConfigPath): boolean {
    const tag = "tag" in node ? node.tag : undefined;
    if (typeof tag !== "string" || PLAIN_TAGS.has(tag)) return true;
    this.#builder.fault(offsetOf(node), path, "has a tag (!…); only plain values can stand here");
    return false;
  }
}

function offsetOf(node: unknown): number {
  if (isAlias(node) || isScalar(node) || isMap(node) || isSeq(node)) return node.range?.[0] ?? 0;
  return 0;
}

/** The library appends the source of some tokens after a colon. */
function withoutQuotes(message: string): string {
  const end = message.indexOf(': "');
  return end === -1 ? message : message.slice(0, end);
}
