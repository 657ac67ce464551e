import { VmcpError } from "../../domain/errors.ts";
import { isJsonObject, type JsonObject } from "../../domain/json.ts";
import type { ClientEnvelope } from "../../mcp/client-envelope.ts";
import {
  CLIENT_CAPABILITIES_KEY,
  CLIENT_INFO_KEY,
  LOG_LEVEL_KEY,
  PROTOCOL_VERSION_KEY,
} from "../../mcp/stateless-names.ts";
import { LOG_LEVELS } from "../../session/log-levels.ts";

/**
 * Reads what a request says of its client. Throws `incomplete_metadata`, naming the member that is missing or wrong.
 *
 * Source: MCP 2026-07-28, base protocol, "Per-request protocol fields".
 */
export function readEnvelope(params: JsonObject | undefined): ClientEnvelope {
  const meta = params?.["_meta"];
  if (!isJsonObject(meta)) throw incomplete("_meta", "an object");
  const {
    [PROTOCOL_VERSION_KEY]: revision,
    [CLIENT_CAPABILITIES_KEY]: capabilities,
    [CLIENT_INFO_KEY]: info = {},
    [LOG_LEVEL_KEY]: logLevel,
  } = meta;
  if (typeof revision !== "string") throw incomplete(PROTOCOL_VERSION_KEY, "a string");
  if (!isJsonObject(capabilities)) throw incomplete(CLIENT_CAPABILITIES_KEY, "an object");
  if (!isJsonObject(info)) throw incomplete(CLIENT_INFO_KEY, "an object, where it is given");
  if (logLevel === undefined) return { revision, capabilities, info };
  if (typeof logLevel !== "string" || !LOG_LEVELS.includes(logLevel)) {
    throw incomplete(LOG_LEVEL_KEY, `one of ${LOG_LEVELS.join(", ")}, where it is given`);
  }
  return { revision, capabilities, info, logLevel };
}

function incomplete(member: string, expected: string): VmcpError {
  const path = member === "_meta" ? "params._meta" : `params._meta["${member}"]`;
  return new VmcpError("incomplete_metadata", `"${path}" must be ${expected}`);
}
