import type { IncomingHttpHeaders } from "node:http";
import { VmcpError } from "../../domain/errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../domain/json.ts";
import { decodeHeaderValue } from "./header-value.ts";

/** An argument of a tool that clients repeat in a header. */
interface MirroredArgument {
  /** In lower case. */
  readonly header: string;
  /** The members that lead to its value. */
  readonly path: readonly string[];
  readonly isInteger: boolean;
}

/** Schemas are nested no deeper than this for the purpose; backends write them. */
const MAX_DEPTH = 32;

const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const DECIMAL = /^-?\d{1,17}(?:\.0+)?$/;
const PRIMITIVE_TYPES: ReadonlySet<unknown> = new Set(["string", "integer", "boolean"]);

/** By the definition of the tool, which stays the same object for as long as its backend offers it. */
const known = new WeakMap<JsonObject, readonly MirroredArgument[]>();

/**
 * Holds the `Mcp-Param-…` headers of a call against its arguments, for those that the tool's schema wants mirrored.
 * Throws `header_mismatch`. Headers that no schema names are left alone.
 *
 * Source: MCP 2026-07-28, Streamable HTTP, "Custom Headers from Tool Parameters".
 */
export function checkParamHeaders(
  headers: IncomingHttpHeaders,
  definition: JsonObject,
  params: JsonObject | undefined,
): void {
  for (const mirrored of mirroredArguments(definition)) {
    // Only where a header mirrors one: large arguments are dear to read.
    const value = textOf(valueAt(params?.["arguments"], mirrored.path));
    if (value !== undefined) checkHeader(headers[mirrored.header], mirrored, value);
  }
}

function checkHeader(
  header: string | readonly string[] | undefined,
  { header: name, path, isInteger }: MirroredArgument,
  value: string,
): void {
  const told = typeof header === "string" ? decodeHeaderValue(header) : undefined;
  if (told === value) return;
  const isSameNumber =
    isInteger && told !== undefined && DECIMAL.test(told) && Number(told) === Number(value);
  if (isSameNumber) return;
  throw new VmcpError(
    "header_mismatch",
    `The header ${name} must say the same as the argument "${path.join(".")}"`,
  );
}

function mirroredArguments(definition: JsonObject): readonly MirroredArgument[] {
  const found = known.get(definition);
  if (found !== undefined) return found;
  const mirrored = [...annotated(definition["inputSchema"], [])];
  known.set(definition, mirrored);
  return mirrored;
}

/** Only what is reached through `properties` alone is found: annotations elsewhere mean nothing. */
function* annotated(
  schema: JsonValue | undefined,
  path: readonly string[],
): Generator<MirroredArgument> {
  const properties = isJsonObject(schema) ? schema["properties"] : undefined;
  if (!isJsonObject(properties) || path.length >= MAX_DEPTH) return;
  for (const [key, property] of Object.entries(properties)) {
    if (!isJsonObject(property)) continue;
    const name = property["x-mcp-header"];
    const type = property["type"];
    if (typeof name === "string" && HEADER_NAME.test(name) && PRIMITIVE_TYPES.has(type)) {
      const header = `mcp-param-${name.toLowerCase()}`;
      yield { header, path: [...path, key], isInteger: type === "integer" };
    }
    yield* annotated(property, [...path, key]);
  }
}

function valueAt(args: JsonValue | undefined, path: readonly string[]): JsonValue | undefined {
  let value = args;
  for (const key of path) {
    value = isJsonObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
  }
  return value;
}

/** As a header says it; undefined for what is not mirrored. */
function textOf(value: JsonValue | undefined): string | undefined {
  if (typeof value === "string") return value;
  return typeof value === "number" || typeof value === "boolean" ? String(value) : undefined;
}
