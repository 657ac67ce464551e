import { isJsonObject, type JsonObject } from "../../domain/json.ts";
import type { BackendMessage } from "../../mcp/exchange.ts";
import { spliceBytes, type Edit } from "../../mcp/json-spans.ts";
import { editsOf, lastMember, topOf } from "./member-edits.ts";

/** What results of the stateless revision have besides those of earlier ones. */
const STATELESS_MEMBERS: ReadonlySet<string> = new Set(["resultType", "ttlMs", "cacheScope"]);

const NO_MEMBERS: ReadonlySet<string> = new Set();

/** Says who answered, which is for the next hop alone. */
const SERVER_INFO = "io.modelcontextprotocol/serverInfo";

/** The answer as a client of a session expects it: without what only the stateless revision knows. */
export function forSession(answer: BackendMessage): BackendMessage {
  return withoutMembers(answer, STATELESS_MEMBERS);
}

/** The answer as another client of the stateless revision may see it. */
export function forStatelessClient(answer: BackendMessage): BackendMessage {
  return withoutMembers(answer, NO_MEMBERS);
}

/** The same message under another id, given as JSON text. */
export function withId(answer: BackendMessage, idJson: string): BackendMessage {
  const { bytes, message } = answer;
  const span = lastMember(bytes, topOf(bytes), "id");
  if (span === undefined) return answer;
  const edit = { start: span.valueStart, end: span.valueEnd, replacement: idJson };
  // It is the text of an id that was read as one before.
  const id = JSON.parse(idJson) as string | number;
  return { bytes: spliceBytes(bytes, [edit]), message: { ...message, id } };
}

/** All other bytes stay as they are; an answer that has nothing of it is returned as it is. */
function withoutMembers(answer: BackendMessage, names: ReadonlySet<string>): BackendMessage {
  const { bytes, message } = answer;
  const { result } = message;
  if (result === undefined || !hasAny(result, names)) return answer;
  const span = lastMember(bytes, topOf(bytes), "result");
  if (span === undefined) return answer;
  const edits = editsOfResult(bytes, span.valueStart, result, names);
  return {
    bytes: spliceBytes(bytes, edits),
    message: { ...message, result: cleaned(result, names) },
  };
}

function hasAny(result: JsonObject, names: ReadonlySet<string>): boolean {
  return namesServer(result) || Object.keys(result).some((key) => names.has(key));
}

function namesServer({ _meta: meta }: JsonObject): boolean {
  return isJsonObject(meta) && Object.hasOwn(meta, SERVER_INFO);
}

/** Whether nothing is left of `_meta` without it: the backend would not have sent one then. */
function namesServerOnly(result: JsonObject): boolean {
  const { _meta: meta } = result;
  return namesServer(result) && isJsonObject(meta) && Object.keys(meta).length === 1;
}

function editsOfResult(
  bytes: Buffer,
  start: number,
  result: JsonObject,
  names: ReadonlySet<string>,
): readonly Edit[] {
  const dropsMeta = namesServerOnly(result);
  const isDropped = (key: string): boolean => names.has(key) || (dropsMeta && key === "_meta");
  const edits = editsOf(bytes, { start, isDropped });
  const meta = lastMember(bytes, start, "_meta");
  if (dropsMeta || meta === undefined || !namesServer(result)) return edits;
  const metaChange = { start: meta.valueStart, isDropped: (key: string) => key === SERVER_INFO };
  return [...edits, ...editsOf(bytes, metaChange)];
}

function cleaned(result: JsonObject, names: ReadonlySet<string>): JsonObject {
  const dropsMeta = namesServerOnly(result);
  const entries = Object.entries(result).flatMap(([key, value]) => {
    if (names.has(key) || (dropsMeta && key === "_meta")) return [];
    if (key !== "_meta" || !isJsonObject(value)) return [[key, value] as const];
    const { [SERVER_INFO]: _server, ...rest } = value;
    return [[key, rest] as const];
  });
  return Object.fromEntries(entries);
}
