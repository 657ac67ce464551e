import type { JsonObject } from "../../domain/json.ts";
import type { BackendMessage } from "../../mcp/exchange.ts";
import { INTERNAL_ERROR, INVALID_PARAMS } from "../../mcp/json-rpc.ts";
import { spansAt } from "../../mcp/json-paths.ts";
import { scanMembers, spliceBytes, type Edit, type Member } from "../../mcp/json-spans.ts";
import type { CacheHint } from "../../session/edge-session.ts";
import { COMPLETE, INPUT_REQUIRED, SERVER_INFO_KEY } from "../../mcp/stateless-names.ts";

/** What nobody said anything about is kept by nobody. */
export const NOT_CACHED: CacheHint = { ttlMs: 0, cacheScope: "private" };

export interface AnswerContext {
  readonly method: string;
  /** The id of the client's request, as it wrote it. */
  readonly idJson: string;
  /** Who we are, as JSON. */
  readonly serverInfoJson: string;
  /** Whether other clients see the same. */
  readonly isShared: boolean;
  /** For a result that asks for input: its state as the client is to give it back. */
  readonly requestState?: string | undefined;
}

/** What a result of ours says of itself. */
interface OwnResult {
  /** Default: it is the whole result. */
  readonly resultType?: string;
  readonly hint?: CacheHint;
}

/** The methods whose results say how long they may be kept, besides lists. */
const CACHEABLE_METHODS: ReadonlySet<string> = new Set(["resources/read"]);

/** Error codes of the sessionful revisions that mean nothing any more, and what says the same now. */
const FORMER_ERROR_CODES: ReadonlyMap<number, number> = new Map([
  [-32_002, INVALID_PARAMS],
  [-32_042, INTERNAL_ERROR],
]);

/** Whether a result asks the client for something before there can be another. */
export function asksForInput(result: JsonObject | undefined): boolean {
  return result?.["resultType"] === INPUT_REQUIRED;
}

/** A backend's answer as a stateless client may see it: only what the revision asks for is added or changed. */
export function toClientAnswer({ bytes, message }: BackendMessage, context: AnswerContext): Buffer {
  const top = scanMembers(bytes, bytes.indexOf(OPENING_BRACE));
  const { result, error } = message;
  const edits = [...editId(top, context.idJson)];
  const resultMember = memberOf(top, "result");
  if (result !== undefined && resultMember !== undefined) {
    edits.push(...editResult(bytes, resultMember, result, context));
  }
  const code = error === undefined ? undefined : FORMER_ERROR_CODES.get(error.code);
  if (code !== undefined) edits.push(...editCode(bytes, code));
  return spliceBytes(bytes, edits);
}

/** The whole answer with a result of ours, which is a JSON object with at least one member. */
export function ownAnswer(
  resultJson: Buffer,
  { idJson, serverInfoJson }: Pick<AnswerContext, "idJson" | "serverInfoJson">,
  own: OwnResult,
): Buffer {
  const head = `{"jsonrpc":"2.0","id":${idJson},"result":{${ownMembers(serverInfoJson, own)},`;
  return Buffer.concat([Buffer.from(head), resultJson.subarray(1), CLOSING_BRACE]);
}

/** The members that the revision adds to a result of ours, as they stand in it. */
export function ownMembers(
  serverInfoJson: string,
  { resultType = COMPLETE, hint }: OwnResult,
): string {
  const caching = hint === undefined ? "" : `,${cacheJson(hint)}`;
  return `"resultType":"${resultType}"${caching},"_meta":${metaJson(serverInfoJson)}`;
}

function* editId(top: readonly Member[], idJson: string): Generator<Edit> {
  const id = memberOf(top, "id");
  if (id !== undefined) yield replaced(id, idJson);
}

function* editResult(
  bytes: Buffer,
  { valueStart }: Member,
  result: JsonObject,
  context: AnswerContext,
): Generator<Edit> {
  const members = scanMembers(bytes, valueStart);
  const added: string[] = [];
  const { resultType } = result;
  const isKind = typeof resultType === "string";
  if (!isKind) yield* set(members, "resultType", `"${COMPLETE}"`, added);
  const isWhole = !isKind || resultType === COMPLETE;
  if (isWhole && CACHEABLE_METHODS.has(context.method)) {
    yield* editCaching(members, result, context, added);
  }
  yield* editMeta(bytes, members, context.serverInfoJson, added);
  const state = memberOf(members, "requestState");
  if (context.requestState !== undefined && state !== undefined) {
    yield replaced(state, JSON.stringify(context.requestState));
  }
  if (added.length > 0) yield insertion(valueStart, added, members.length === 0);
}

/** What an answer says of itself holds, except that what one client alone may see is nobody else's to keep. */
function* editCaching(
  members: readonly Member[],
  result: JsonObject,
  { isShared }: AnswerContext,
  added: string[],
): Generator<Edit> {
  const { ttlMs, cacheScope } = result;
  const isTime = typeof ttlMs === "number" && Number.isSafeInteger(ttlMs) && ttlMs >= 0;
  if (!isTime) yield* set(members, "ttlMs", String(NOT_CACHED.ttlMs), added);
  if (!isShared || cacheScope !== "public") {
    yield* set(members, "cacheScope", `"${NOT_CACHED.cacheScope}"`, added);
  }
}

/** Where the member stands already it gets that value there: a key that stands twice is read one way or the other. */
function* set(
  members: readonly Member[],
  key: string,
  valueJson: string,
  added: string[],
): Generator<Edit> {
  const member = memberOf(members, key);
  if (member === undefined) added.push(`"${key}":${valueJson}`);
  else yield replaced(member, valueJson);
}

/** Who answers is us; what else `_meta` says is kept. */
function* editMeta(
  bytes: Buffer,
  members: readonly Member[],
  serverInfoJson: string,
  added: string[],
): Generator<Edit> {
  const meta = memberOf(members, "_meta");
  if (meta === undefined) {
    added.push(`"_meta":${metaJson(serverInfoJson)}`);
    return;
  }
  if (bytes[meta.valueStart] !== OPENING_BRACE) {
    yield replaced(meta, metaJson(serverInfoJson));
    return;
  }
  const inner = scanMembers(bytes, meta.valueStart);
  const info = memberOf(inner, SERVER_INFO_KEY);
  yield info === undefined
    ? insertion(meta.valueStart, [`"${SERVER_INFO_KEY}":${serverInfoJson}`], inner.length === 0)
    : replaced(info, serverInfoJson);
}

function editCode(bytes: Buffer, code: number): readonly Edit[] {
  return spansAt(bytes, ["error", "code"]).map(({ valueStart, valueEnd }) => ({
    start: valueStart,
    end: valueEnd,
    replacement: String(code),
  }));
}

function metaJson(serverInfoJson: string): string {
  return `{"${SERVER_INFO_KEY}":${serverInfoJson}}`;
}

function cacheJson({ ttlMs, cacheScope }: CacheHint): string {
  return `"ttlMs":${ttlMs},"cacheScope":"${cacheScope}"`;
}

function insertion(objectStart: number, entries: readonly string[], isEmpty: boolean): Edit {
  const at = objectStart + 1;
  const text = entries.join(",");
  return { start: at, end: at, replacement: isEmpty ? text : `${text},` };
}

function replaced({ valueStart, valueEnd }: Member, replacement: string): Edit {
  return { start: valueStart, end: valueEnd, replacement };
}

/** Of members with the same key the last one, because that is what a JSON parser keeps. */
function memberOf(members: readonly Member[], key: string): Member | undefined {
  return members.findLast((member) => member.key === key);
}

const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = Buffer.from("}");
