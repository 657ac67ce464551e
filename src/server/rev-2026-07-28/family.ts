import type { IncomingMessage } from "node:http";
import { isJsonObject, type JsonObject, type JsonValue } from "../../domain/json.ts";
import type { InboundMessage } from "../../mcp/inbound-message.ts";
import { STATELESS_REVISION } from "../../mcp/revisions.ts";
import { PROTOCOL_VERSION_KEY } from "../../mcp/stateless-names.ts";

const DATE = /^\d{4}-\d{2}-\d{2}$/;

/**
 * Whether a message is for the stateless revision: its body says which revision it speaks, or its header names one
 * that is not older.
 *
 * An `initialize` that says nothing of it in its body opens a session whatever the header: clients send it after
 * they have asked `server/discover`, some with the header still on.
 */
export function isStateless(request: IncomingMessage, message: InboundMessage): boolean {
  if (message.kind === "request" || message.kind === "notification") {
    if (claimedRevision(message.params) !== undefined) return true;
    if (message.method === "initialize") return false;
  }
  return namesStateless(request);
}

/** Whether the version header names the stateless revision or a newer one, known here or not. */
export function namesStateless({ headers }: IncomingMessage): boolean {
  const version = headers["mcp-protocol-version"];
  // Dates of this form sort as text.
  return typeof version === "string" && DATE.test(version) && version >= STATELESS_REVISION;
}

/** What a message says of its own revision, whatever the shape of that. */
function claimedRevision(params: JsonObject | undefined): JsonValue | undefined {
  const meta = params?.["_meta"];
  return isJsonObject(meta) ? meta[PROTOCOL_VERSION_KEY] : undefined;
}
