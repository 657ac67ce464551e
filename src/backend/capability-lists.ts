import { createHash } from "node:crypto";
import type {
  BackendGreeting,
  Capability,
  CapabilityKind,
  CapabilitySet,
} from "../domain/capabilities.ts";
import { isJsonObject, type JsonObject } from "../domain/json.ts";
import type { BackendMessage } from "../mcp/exchange.ts";
import { scanElements, scanMembers, type ValueSpan } from "../mcp/json-spans.ts";
import { resultOf, type Ask } from "./ask.ts";
import { faultOfItem } from "./capability-item.ts";
import { ListCaching } from "./list-caching.ts";
import type { BackendSettings } from "./options.ts";

/** How much of a backend's own name for something a line of the log shows. */
const MAX_LOGGED_CHARS = 128;

/** One of the four lists: how it is asked for and how its items are told apart. */
interface ListShape {
  readonly kind: CapabilityKind;
  readonly method: string;
  /** The member of the result that holds the items. */
  readonly member: string;
  /** The member of an item that is its original name. */
  readonly keyMember: string;
  /** What the greeting must announce for the list to be asked for. */
  readonly announcedBy: string;
}

const TOOLS: ListShape = {
  kind: "tool",
  method: "tools/list",
  member: "tools",
  keyMember: "name",
  announcedBy: "tools",
};
const PROMPTS: ListShape = {
  kind: "prompt",
  method: "prompts/list",
  member: "prompts",
  keyMember: "name",
  announcedBy: "prompts",
};
const RESOURCES: ListShape = {
  kind: "resource",
  method: "resources/list",
  member: "resources",
  keyMember: "uri",
  announcedBy: "resources",
};
const RESOURCE_TEMPLATES: ListShape = {
  kind: "resourceTemplate",
  method: "resources/templates/list",
  member: "resourceTemplates",
  keyMember: "uriTemplate",
  announcedBy: "resources",
};

/**
 * Fetches every page of every list that the greeting announces, the lists side by side.
 *
 * `faultOfTool` says why a tool cannot be used on the way that calls of it would take. A list that the backend turns
 * out not to know is empty. An item that cannot be used is left out with a line
 * in the log, as is what comes after a cap or a cursor that repeats; neither costs the rest of the list.
 */
export async function fetchCapabilities(
  ask: Ask,
  greeting: BackendGreeting,
  settings: BackendSettings,
  signal: AbortSignal,
  faultOfTool?: (tool: JsonObject) => string | undefined,
): Promise<CapabilitySet> {
  const caching = new ListCaching();
  const fetchList = async (shape: ListShape): Promise<readonly Capability[]> => {
    if (greeting.capabilities[shape.announcedBy] === undefined) return [];
    const faultOf = shape === TOOLS ? faultOfTool : undefined;
    return new ListFetch(ask, shape, settings, caching, faultOf).run(signal);
  };
  const [tools, prompts, resources, resourceTemplates] = await Promise.all([
    fetchList(TOOLS),
    fetchList(PROMPTS),
    fetchList(RESOURCES),
    fetchList(RESOURCE_TEMPLATES),
  ]);
  const hash = hashOf([tools, prompts, resources, resourceTemplates]);
  return { hash, tools, prompts, resources, resourceTemplates, ...caching.outcome };
}

/** One list on its way, page by page. */
class ListFetch {
  readonly #ask: Ask;
  readonly #shape: ListShape;
  readonly #settings: BackendSettings;
  readonly #caching: ListCaching;
  readonly #faultOf: ((value: JsonObject) => string | undefined) | undefined;
  readonly #items = new Map<string, Capability>();
  readonly #cursors = new Set<string>();
  #bytes = 0;

  constructor(
    ask: Ask,
    shape: ListShape,
    settings: BackendSettings,
    caching: ListCaching,
    faultOf: ((value: JsonObject) => string | undefined) | undefined,
  ) {
    this.#caching = caching;
    this.#faultOf = faultOf;
    this.#ask = ask;
    this.#shape = shape;
    this.#settings = settings;
  }

  async run(signal: AbortSignal): Promise<readonly Capability[]> {
    const { method } = this.#shape;
    const { name, limits } = this.#settings;
    let cursor: string | undefined;
    for (let page = 0; page < limits.pagesPerList; page += 1) {
      const params = cursor === undefined ? {} : { cursor };
      // Each page names the next one.
      // oxlint-disable-next-line no-await-in-loop
      const answer = await this.#ask({ method, params }, signal);
      const result = resultOf(name, method, answer);
      if (result === undefined || !this.#takePage(answer, result)) return [...this.#items.values()];
      this.#caching.note(result);
      const { nextCursor } = result;
      // An empty string is a cursor like any other.
      if (typeof nextCursor !== "string") return [...this.#items.values()];
      if (this.#cursors.has(nextCursor)) return this.#cut("a cursor came twice");
      this.#cursors.add(nextCursor);
      cursor = nextCursor;
    }
    return this.#cut(`it has more than ${limits.pagesPerList} pages`);
  }

  /** False if the list is full. */
  #takePage(answer: BackendMessage, result: JsonObject): boolean {
    const values = result[this.#shape.member];
    if (!Array.isArray(values)) {
      this.#warn("backend sent a page without a list", "expected an array");
      return true;
    }
    const spans = itemSpans(answer.bytes, this.#shape.member);
    for (const [index, span] of spans.entries()) {
      if (!this.#takeItem(answer.bytes, span, values[index])) return false;
    }
    return true;
  }

  #takeItem(bytes: Buffer, span: ValueSpan, value: unknown): boolean {
    const { kind, keyMember } = this.#shape;
    const { limits } = this.#settings;
    const fault = faultOfItem(bytes, span, value, this.#shape, limits);
    if (fault !== undefined || !isJsonObject(value)) {
      this.#warn("backend offers something that cannot be used", fault ?? "it is no object");
      return true;
    }
    const key = textOf(value, keyMember);
    const reason = this.#items.has(key) ? "its name came before" : this.#faultOf?.(value);
    if (reason !== undefined) {
      this.#warn("backend offers something that cannot be used", reason, key);
      return true;
    }
    const maxItems = kind === "tool" ? limits.toolsPerBackend : limits.itemsPerList;
    this.#bytes += span.valueEnd - span.valueStart;
    if (this.#items.size >= maxItems || this.#bytes > limits.listBytes) {
      this.#cut(`it holds more than ${maxItems} items or ${limits.listBytes} bytes`);
      return false;
    }
    const json = bytes.toString("utf8", span.valueStart, span.valueEnd);
    this.#items.set(key, { kind, key, json, value });
    return true;
  }

  #cut(reason: string): readonly Capability[] {
    this.#warn("list of the backend was cut off", reason);
    return [...this.#items.values()];
  }

  #warn(message: string, reason: string, item?: string): void {
    const { logger, name } = this.#settings;
    const named = item === undefined ? {} : { item: item.slice(0, MAX_LOGGED_CHARS) };
    logger.warn(message, { backend: name, method: this.#shape.method, reason, ...named });
  }
}

/** Where the items of `result.<member>` stand. Of a key that repeats, the last counts, as in `JSON.parse`. */
function itemSpans(bytes: Buffer, member: string): readonly ValueSpan[] {
  const result = lastMember(bytes, bytes.indexOf(OPEN_BRACE), "result");
  const list = result && lastMember(bytes, result.valueStart, member);
  return list === undefined ? [] : scanElements(bytes, list.valueStart);
}

/** The key of an item whose key was found to be a string. */
function textOf(value: JsonObject, member: string): string {
  const text = value[member];
  return typeof text === "string" ? text : "";
}

function lastMember(bytes: Buffer, start: number, key: string): ValueSpan | undefined {
  return scanMembers(bytes, start).findLast((member) => member.key === key);
}

function hashOf(lists: readonly (readonly Capability[])[]): string {
  const hash = createHash("sha256");
  for (const list of lists) {
    for (const { json } of list) hash.update(json).update("\0");
    hash.update("\0");
  }
  return hash.digest("hex");
}

const OPEN_BRACE = 0x7b;
