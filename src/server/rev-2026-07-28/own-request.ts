import { VmcpError } from "../../domain/errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../domain/json.ts";
import type { ClientEnvelope } from "../../mcp/client-envelope.ts";
import { findAmbiguousKey, type InboundRequest } from "../../mcp/inbound-message.ts";
import { scanMembers, spliceBytes, type Edit, type Member } from "../../mcp/json-spans.ts";
import {
  CLIENT_CAPABILITIES_KEY,
  CLIENT_INFO_KEY,
  LOG_LEVEL_KEY,
  PROTOCOL_VERSION_KEY,
  SERVER_INFO_KEY,
  SUBSCRIPTION_ID_KEY,
} from "../../mcp/stateless-names.ts";

/** A client's request as its session sees it. */
export interface OwnRequest {
  readonly request: InboundRequest;
  /** The token under which the client wants to hear of progress, as it wrote it; absent where it gave none. */
  readonly progressTokenJson?: string;
}

export interface OwnRequestOptions {
  readonly envelope: ClientEnvelope;
  /** Unique among the requests of the session. */
  readonly id: number;
  /** What the backend itself had put into the state that the client gave back; absent: it stays as it is. */
  readonly requestState?: string;
}

/** Of `_meta`, what holds between the client and us alone. */
const PER_HOP_KEYS: ReadonlySet<string> = new Set([
  PROTOCOL_VERSION_KEY,
  CLIENT_CAPABILITIES_KEY,
  CLIENT_INFO_KEY,
  LOG_LEVEL_KEY,
  SUBSCRIPTION_ID_KEY,
  SERVER_INFO_KEY,
]);

/**
 * Makes a request of a stateless client one of its session: under an id and a progress token that no other client of
 * the session can have, and without what `_meta` says between neighbours. All other bytes are left as they are.
 *
 * The request must have been read by `readEnvelope`. Throws `invalid_request` for a key of `_meta` that stands twice.
 */
export function toOwnRequest(
  given: InboundRequest,
  { envelope, id, requestState }: OwnRequestOptions,
): OwnRequest {
  // What gives the message another name without a copy knows only the message as the client wrote it.
  const { bytes, toSend: _toSend, ...rest } = given;
  const top = scanMembers(bytes, bytes.indexOf(OPENING_BRACE));
  const params = scanMembers(bytes, memberOf(top, "params").valueStart);
  const meta = memberOf(params, "_meta");
  const metaMembers = scanMembers(bytes, meta.valueStart);
  if (findAmbiguousKey(metaMembers) !== undefined) {
    throw new VmcpError("invalid_request", "A key stands twice in params._meta");
  }
  const token = metaMembers.find(({ key }) => key === "progressToken");
  const edits = [
    replaced(memberOf(top, "id"), String(id)),
    replaced(meta, metaJson(bytes, metaMembers, id)),
    ...(requestState === undefined
      ? []
      : [replaced(memberOf(params, "requestState"), JSON.stringify(requestState))]),
  ];
  const request: InboundRequest = {
    ...rest,
    id,
    idJson: String(id),
    params: ownParams(given.params ?? {}, id, requestState),
    bytes: spliceBytes(bytes, edits),
    nameSpan: moved(given.nameSpan, edits),
    envelope,
  };
  if (token === undefined) return { request };
  return { request, progressTokenJson: bytes.toString("utf8", token.valueStart, token.valueEnd) };
}

function metaJson(bytes: Buffer, members: readonly Member[], id: number): string {
  const kept = members
    .filter(({ key }) => !PER_HOP_KEYS.has(key))
    .map(({ key, keyStart, valueEnd }) =>
      key === "progressToken"
        ? `"progressToken":${id}`
        : bytes.toString("utf8", keyStart, valueEnd),
    );
  return `{${kept.join(",")}}`;
}

/** The same in the reading of the params. */
function ownParams(params: JsonObject, id: number, requestState: string | undefined): JsonObject {
  const given = params["_meta"];
  const meta = Object.entries(isJsonObject(given) ? given : {})
    .filter(([key]) => !PER_HOP_KEYS.has(key))
    .map(([key, value]) => [key, key === "progressToken" ? id : value] as const);
  // Not a spread, which would read large arguments.
  return Object.create(Object.prototype, {
    ...Object.getOwnPropertyDescriptors(params),
    _meta: plain(Object.fromEntries(meta)),
    ...(requestState !== undefined && { requestState: plain(requestState) }),
  });
}

function plain(value: JsonValue): PropertyDescriptor {
  return { value, enumerable: true, configurable: true, writable: true };
}

function moved(
  span: InboundRequest["nameSpan"],
  edits: readonly Edit[],
): InboundRequest["nameSpan"] {
  if (span === undefined) return undefined;
  const before = edits.filter(({ end }) => end <= span.start);
  const by = before.reduce(
    (sum, { start, end, replacement }) => sum + Buffer.byteLength(replacement) - (end - start),
    0,
  );
  return { start: span.start + by, end: span.end + by };
}

function replaced({ valueStart, valueEnd }: Member, replacement: string): Edit {
  return { start: valueStart, end: valueEnd, replacement };
}

function memberOf(members: readonly Member[], key: string): Member {
  const found = members.find((member) => member.key === key);
  if (found === undefined) throw new VmcpError("internal", `a request without "${key}" was let in`);
  return found;
}

const OPENING_BRACE = 0x7b;
