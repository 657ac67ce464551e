import { spliceBytes, type Edit } from "../../mcp/json-spans.ts";
import { SERVER_INFO_KEY, SUBSCRIPTION_ID_KEY } from "../../mcp/stateless-names.ts";
import { editsOf, isObjectAt, lastMember, topOf } from "./member-edits.ts";

/** What a request of the revision without sessions says of who asks, by the names that it reserves in `_meta`. */
export const META_KEYS = {
  revision: "io.modelcontextprotocol/protocolVersion",
  capabilities: "io.modelcontextprotocol/clientCapabilities",
  info: "io.modelcontextprotocol/clientInfo",
  logLevel: "io.modelcontextprotocol/logLevel",
} as const;

/** What an earlier round of the same call leads to. */
export interface NextRound {
  /** The id of this round's request. */
  readonly idJson: string;
  /** The answers of the client by the backend's keys, as the text of one JSON object; undefined where nothing was asked. */
  readonly inputResponsesJson: string | undefined;
  /** What the backend gave to be handed back, as the JSON text that it came in. */
  readonly requestStateJson: string | undefined;
}

/**
 * The message with these members in `params._meta`, in place of what it says of itself there; with `round` also
 * under another id and with the answers in `params`. All other bytes stay as they are.
 */
export function withEnvelope(message: Buffer, envelopeJson: string, round?: NextRound): Buffer {
  const top = topOf(message);
  const roundJson = round === undefined ? [] : membersOf(round);
  const edits: Edit[] = [];
  const id = round && lastMember(message, top, "id");
  if (round !== undefined && id !== undefined) {
    edits.push({ start: id.valueStart, end: id.valueEnd, replacement: round.idJson });
  }
  const params = lastMember(message, top, "params");
  if (params === undefined || !isObjectAt(message, params.valueStart)) {
    const insertedJson = `"params":{${[metaJson(envelopeJson), ...roundJson].join(",")}}`;
    edits.push(
      ...editsOf(message, { start: top, isDropped: (key) => key === "params", insertedJson }),
    );
    return spliceBytes(message, edits);
  }
  const meta = lastMember(message, params.valueStart, "_meta");
  const hasMeta = meta !== undefined && isObjectAt(message, meta.valueStart);
  if (hasMeta) {
    const start = meta.valueStart;
    edits.push(...editsOf(message, { start, isDropped: isPerHop, insertedJson: envelopeJson }));
  }
  const inserted = hasMeta ? roundJson : [metaJson(envelopeJson), ...roundJson];
  const isDropped = (key: string): boolean =>
    (key === "_meta" && !hasMeta) || (round !== undefined && ROUND_KEYS.has(key));
  edits.push(
    ...editsOf(message, { start: params.valueStart, isDropped, insertedJson: inserted.join(",") }),
  );
  return spliceBytes(message, edits);
}

function membersOf({ inputResponsesJson, requestStateJson }: NextRound): readonly string[] {
  return [
    ...(inputResponsesJson === undefined ? [] : [`"inputResponses":${inputResponsesJson}`]),
    ...(requestStateJson === undefined ? [] : [`"requestState":${requestStateJson}`]),
  ];
}

function metaJson(envelopeJson: string): string {
  return `"_meta":{${envelopeJson}}`;
}

const PER_HOP_KEYS: ReadonlySet<string> = new Set([
  ...Object.values(META_KEYS),
  SUBSCRIPTION_ID_KEY,
  SERVER_INFO_KEY,
]);

const ROUND_KEYS: ReadonlySet<string> = new Set(["inputResponses", "requestState"]);

function isPerHop(key: string): boolean {
  return PER_HOP_KEYS.has(key);
}
