import { isJsonObject, type JsonObject, type JsonValue } from "../../domain/json.ts";
import type { BackendMessage } from "../../mcp/exchange.ts";
import { encodeNotification, type JsonRpcMessage } from "../../mcp/json-rpc.ts";
import { spliceBytes } from "../../mcp/json-spans.ts";
import { editsOf, lastMember, topOf } from "./member-edits.ts";

/** Names the stream that a message belongs to, for the next hop alone. */
const SUBSCRIPTION_ID = "io.modelcontextprotocol/subscriptionId";

export function subscriptionIdOf({ params }: JsonRpcMessage): JsonValue | undefined {
  const meta = params?.["_meta"];
  return isJsonObject(meta) ? meta[SUBSCRIPTION_ID] : undefined;
}

/** The message as a backend of sessions would send it, all other bytes untouched. */
export function withoutSubscriptionId(given: BackendMessage): BackendMessage {
  const { bytes, message } = given;
  if (subscriptionIdOf(message) === undefined) return given;
  const { _meta: meta, ...others } = message.params ?? {};
  const params = lastMember(bytes, topOf(bytes), "params");
  const span = params && lastMember(bytes, params.valueStart, "_meta");
  if (params === undefined || span === undefined || !isJsonObject(meta)) return given;
  const { [SUBSCRIPTION_ID]: _id, ...rest } = meta;
  const isOnly = Object.keys(rest).length === 0;
  const edits = isOnly
    ? editsOf(bytes, { start: params.valueStart, isDropped: (key) => key === "_meta" })
    : editsOf(bytes, { start: span.valueStart, isDropped: (key) => key === SUBSCRIPTION_ID });
  const left = isOnly ? others : { ...others, _meta: rest };
  return { bytes: spliceBytes(bytes, edits), message: { ...message, params: left } };
}

/** One message for everything that may have changed of what a stream is to tell of. */
export function changeNotices(filter: JsonObject): readonly BackendMessage[] {
  const kinds = ["tools", "prompts", "resources"].filter(
    (kind) => filter[`${kind}ListChanged`] === true,
  );
  const uris = filter["resourceSubscriptions"];
  return [
    ...kinds.map((kind) => toMessage(`notifications/${kind}/list_changed`)),
    ...(Array.isArray(uris) ? uris : []).map((uri: JsonValue) =>
      toMessage("notifications/resources/updated", { uri }),
    ),
  ];
}

function toMessage(method: string, params?: JsonObject): BackendMessage {
  const bytes = encodeNotification(method, params);
  return { bytes, message: { jsonrpc: "2.0", method, ...(params && { params }) } };
}
