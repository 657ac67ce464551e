import { STATELESS_REVISION } from "../../mcp/revisions.ts";
import type { ValueSpan } from "../../mcp/json-spans.ts";
import { toHeaderValue } from "./header-values.ts";
import { isObjectAt, lastMember, topOf } from "./member-edits.ts";
import type { ParamHeader } from "./param-headers.ts";

/** The parameter that names what a request is about. */
const NAME_PARAMS: ReadonlyMap<string, string> = new Map([
  ["tools/call", "name"],
  ["prompts/get", "name"],
  ["resources/read", "uri"],
  ["tasks/get", "taskId"],
  ["tasks/update", "taskId"],
  ["tasks/cancel", "taskId"],
]);

/**
 * The headers that mirror parts of a request, names and values in turn. `params` are those that the called tool
 * asks for.
 */
export function mirrorHeaders(
  message: Buffer,
  method: string,
  params: readonly ParamHeader[] = [],
): string[] {
  const headers = ["mcp-protocol-version", STATELESS_REVISION, "mcp-method", method];
  const nameParam = NAME_PARAMS.get(method);
  const name = nameParam === undefined ? undefined : valueAt(message, ["params", nameParam]);
  if (typeof name === "string") headers.push("mcp-name", toHeaderValue(name));
  for (const { header, path } of params) {
    const text = textOf(valueAt(message, ["params", "arguments", ...path]));
    if (text !== undefined) headers.push(header, toHeaderValue(text));
  }
  return headers;
}

/** What stands at a path of keys in the message; undefined where nothing does. */
function valueAt(message: Buffer, path: readonly string[]): unknown {
  let found: ValueSpan = { valueStart: topOf(message), valueEnd: message.length };
  for (const key of path) {
    const member = isObjectAt(message, found.valueStart)
      ? lastMember(message, found.valueStart, key)
      : undefined;
    if (member === undefined) return undefined;
    found = member;
  }
  return JSON.parse(message.toString("utf8", found.valueStart, found.valueEnd));
}

/** Only what a header can say: null and whatever is no parameter of a primitive type is left out. */
function textOf(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  return typeof value === "number" || typeof value === "boolean" ? String(value) : undefined;
}
