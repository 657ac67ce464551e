import { isJsonObject, type JsonObject } from "../domain/json.ts";
import { VmcpError } from "../domain/errors.ts";
import type { ClientEnvelope } from "./client-envelope.ts";
import { exceedsDepth, scanMembers, type Member } from "./json-spans.ts";
import type { JsonRpcError, RequestId } from "./json-rpc.ts";
import { OWN_ID_PREFIX } from "./json-rpc.ts";
import {
  cutLargeArguments,
  LargeMessage,
  shiftOf,
  withCutArguments,
  type CutArguments,
} from "./large-arguments.ts";
import { areUtf8, joined, type MessageBytes } from "./message-bytes.ts";

export interface MessageLimits {
  /** Nesting of arrays and objects, the envelope included. */
  readonly jsonDepth: number;
  /** Characters of a string id. */
  readonly idLength: number;
}

export const DEFAULT_MESSAGE_LIMITS: MessageLimits = { jsonDepth: 64, idLength: 256 };

export type InboundMessage =
  | InboundRequest
  | InboundNotification
  | InboundResponse
  | InboundBatch
  | InvalidMessage;

/**
 * A client's request: its bytes, untouched, and the one reading of them.
 *
 * `params` is for deciding only; what is forwarded are the bytes, in which `nameSpan` tells where the value
 * of `params.name` (with its quotes) stands.
 */
export interface InboundRequest {
  readonly kind: "request";
  readonly id: RequestId;
  /** The id exactly as the client wrote it, so that numbers beyond 2^53 are echoed unchanged. */
  readonly idJson: string;
  readonly method: string;
  readonly params: JsonObject | undefined;
  readonly bytes: Buffer;
  readonly nameSpan: Span | undefined;
  /** `params` was given and is not an object. */
  readonly hasBadParams: boolean;
  /** `params.arguments` are an object and large: they are read when somebody first asks for them, which is dear. */
  readonly hasUnreadArguments?: true;
  /**
   * The message as it is, or with this JSON text in place of its name, in its own memory and not copied; undefined where
   * that cannot be, and the second time. Set where `params.arguments` are large. `bytes` are a copy then, as a rule, and
   * stay what the client wrote.
   */
  readonly toSend?: (nameJson: string | undefined) => MessageBytes | undefined;
  /** Set where the client speaks a stateless revision; its members are no longer part of `bytes`. */
  readonly envelope?: ClientEnvelope;
}

export interface InboundNotification {
  readonly kind: "notification";
  readonly method: string;
  readonly params: JsonObject | undefined;
  readonly bytes: Buffer;
}

/** A client's answer to a request of a backend. */
export interface InboundResponse {
  readonly kind: "response";
  readonly id: RequestId;
  readonly idSpan: Span;
  readonly bytes: Buffer;
}

/** A JSON array at the top: only sessions of 2025-03-26 know batches. */
interface InboundBatch {
  readonly kind: "batch";
}

/** Not a message that may be dispatched; `idJson` is set where the request can be told. */
interface InvalidMessage {
  readonly kind: "invalid";
  readonly idJson: string | undefined;
  readonly error: VmcpError;
}

interface Span {
  readonly start: number;
  readonly end: number;
}

/**
 * Reads a client's message once: UTF-8, depth, JSON, ambiguous keys of the envelope and of `params`, then the
 * JSON-RPC shape. Never throws; what may not be dispatched comes back as `invalid`.
 *
 * Keys that are equal but for case are refused: the bytes go to backends as they are, and a reader there that
 * takes another one of them, or ignores case as Go's does, would run something else than what was admitted here.
 * The bytes are given over: nobody else may read them after this.
 * Source: JSON-RPC 2.0 sections 4 and 5; MCP base protocol, "Messages".
 */
export function parseInbound(given: MessageBytes, limits: MessageLimits): InboundMessage {
  const pieces = Buffer.isBuffer(given) ? [given] : given;
  if (!areUtf8(pieces)) return invalid("parse_error", "The message is not valid UTF-8");
  return parseLarge(pieces, limits) ?? parseText(joined(given), limits);
}

function parseLarge(pieces: readonly Buffer[], limits: MessageLimits): InboundRequest | undefined {
  const cut = cutLargeArguments(pieces, limits.jsonDepth);
  if (cut === undefined) return undefined;
  const rest = parseText(cut.rest, limits);
  return rest.kind === "request" ? withWholeArguments(rest, pieces, cut) : undefined;
}

function withWholeArguments(
  rest: InboundRequest,
  pieces: readonly Buffer[],
  cut: CutArguments,
): InboundRequest {
  const { params, nameSpan } = rest;
  const shift = nameSpan !== undefined && nameSpan.start > cut.start ? shiftOf(cut) : 0;
  const name = nameSpan && { start: nameSpan.start + shift, end: nameSpan.end + shift };
  const message = new LargeMessage(pieces, name);
  return {
    ...rest,
    get bytes() {
      return message.bytes;
    },
    toSend: (nameJson) => message.toSend(nameJson),
    params: params && withCutArguments(params, message, cut),
    nameSpan: name,
    hasUnreadArguments: true,
  };
}

function parseText(bytes: Buffer, limits: MessageLimits): InboundMessage {
  let value: unknown;
  try {
    // Before parsing: four megabytes of brackets take JSON.parse half a second, and this a glance.
    if (exceedsDepth(bytes, limits.jsonDepth)) {
      return invalid(
        "invalid_request",
        `The message is nested deeper than ${limits.jsonDepth} levels; send a flatter one`,
      );
    }
    value = JSON.parse(bytes.toString());
  } catch {
    return invalid("parse_error", "The message is not valid JSON");
  }
  if (Array.isArray(value)) {
    return value.length === 0
      ? invalid("invalid_request", "A batch must hold at least one message")
      : { kind: "batch" };
  }
  if (!isJsonObject(value)) {
    return invalid("invalid_request", "A message must be a JSON object");
  }
  return readEnvelope(bytes, value, limits);
}

function readEnvelope(bytes: Buffer, value: JsonObject, limits: MessageLimits): InboundMessage {
  const members = scanMembers(bytes, bytes.indexOf(OPENING_BRACE));
  const ambiguous = findAmbiguousKey(members);
  if (ambiguous !== undefined) {
    return invalid("invalid_request", `The key "${clip(ambiguous)}" stands twice in the message`);
  }
  const id = value["id"];
  const idIsUsable = isUsableId(id, limits);
  const idJson = idIsUsable ? textOf(bytes, memberOf(members, "id")) : undefined;
  if (value["jsonrpc"] !== "2.0") {
    return invalid("invalid_request", 'The member "jsonrpc" must be the string "2.0"', idJson);
  }
  if (id !== undefined && !idIsUsable) {
    return invalid(
      "invalid_request",
      `The id must be an integer or a string of at most ${limits.idLength} characters`,
    );
  }
  const method = value["method"];
  if (method === undefined) {
    return idIsUsable
      ? readResponse(bytes, value, id, members)
      : invalid("invalid_request", 'The message has neither a "method" nor an "id"');
  }
  if (typeof method !== "string") {
    return invalid("invalid_request", 'The member "method" must be a string', idJson);
  }
  if ("result" in value || "error" in value) {
    return invalid("invalid_request", "A message is a request or an answer, not both", idJson);
  }
  return readCall(bytes, value, members, method, idIsUsable ? id : undefined, idJson);
}

function readCall(
  bytes: Buffer,
  value: JsonObject,
  members: readonly Member[],
  method: string,
  id: RequestId | undefined,
  idJson: string | undefined,
): InboundMessage {
  const given = value["params"];
  const params = isJsonObject(given) ? given : undefined;
  const inner =
    params === undefined ? [] : scanMembers(bytes, memberOf(members, "params")?.valueStart ?? 0);
  const ambiguous = findAmbiguousKey(inner);
  if (ambiguous !== undefined) {
    return invalid(
      "invalid_request",
      `The key "${clip(ambiguous)}" stands twice in params`,
      idJson,
    );
  }
  if (id === undefined || idJson === undefined) {
    return { kind: "notification", method, params, bytes };
  }
  if (typeof id === "string" && id.startsWith(OWN_ID_PREFIX)) {
    return invalid(
      "invalid_request",
      `Ids that begin with "${OWN_ID_PREFIX}" are reserved`,
      idJson,
    );
  }
  const nameSpan = spanOf(memberOf(inner, "name"));
  const hasBadParams = given !== undefined && params === undefined;
  return { kind: "request", id, idJson, method, params, bytes, nameSpan, hasBadParams };
}

function readResponse(
  bytes: Buffer,
  value: JsonObject,
  id: RequestId,
  members: readonly Member[],
): InboundMessage {
  const hasResult = isJsonObject(value["result"]);
  const hasError = isJsonRpcError(value["error"]);
  const idSpan = spanOf(memberOf(members, "id"));
  if (idSpan === undefined || hasResult === hasError || ("result" in value && "error" in value)) {
    return invalid(
      "invalid_request",
      'An answer has either a "result" object or an "error" object',
    );
  }
  return { kind: "response", id, idSpan, bytes };
}

/** Whether a value has the shape of a JSON-RPC error: an integer code and a text. */
function isJsonRpcError(value: unknown): value is JsonRpcError {
  return (
    isJsonObject(value) &&
    Number.isSafeInteger(value["code"]) &&
    typeof value["message"] === "string"
  );
}

function isUsableId(id: unknown, limits: MessageLimits): id is RequestId {
  return typeof id === "string" ? id.length <= limits.idLength : Number.isInteger(id);
}

/** The first key that another reader could take for an earlier one. */
export function findAmbiguousKey(members: readonly Member[]): string | undefined {
  if (members.length > FEW_MEMBERS) return findAmong(members);
  for (let index = 1; index < members.length; index += 1) {
    const key = members[index]?.key ?? "";
    const folded = fold(key);
    for (let before = 0; before < index; before += 1) {
      if (fold(members[before]?.key ?? "") === folded) return key;
    }
  }
  return undefined;
}

function findAmong(members: readonly Member[]): string | undefined {
  const seen = new Set<string>();
  for (const { key } of members) {
    const folded = fold(key);
    if (seen.has(folded)) return key;
    seen.add(folded);
  }
  return undefined;
}

/** Upper case first: it takes the long s to S, as lower case alone does not. */
function fold(key: string): string {
  return FOLDED_KEYS.has(key) ? key : key.toUpperCase().toLowerCase();
}

function memberOf(members: readonly Member[], key: string): Member | undefined {
  for (const member of members) if (member.key === key) return member;
  return undefined;
}

function spanOf(member: Member | undefined): Span | undefined {
  return member && { start: member.valueStart, end: member.valueEnd };
}

function textOf(bytes: Buffer, member: Member | undefined): string | undefined {
  return member && bytes.toString("utf8", member.valueStart, member.valueEnd);
}

function invalid(
  code: "parse_error" | "invalid_request",
  message: string,
  idJson?: string,
): InvalidMessage {
  return { kind: "invalid", idJson, error: new VmcpError(code, message) };
}

/** Text of the client that stands in one of our messages stays short. */
export function clip(text: string, maxLength = 128): string {
  return text.length <= maxLength ? text : `${text.slice(0, maxLength)}…`;
}

const OPENING_BRACE = 0x7b;

/** So few are compared each with each, for which nothing has to be made. */
const FEW_MEMBERS = 6;

/** The keys of nearly every request, which are as they are when they are folded. */
const FOLDED_KEYS: ReadonlySet<string> = new Set([
  "jsonrpc",
  "id",
  "method",
  "params",
  "name",
  "arguments",
  "_meta",
]);
