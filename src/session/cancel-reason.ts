import type { JsonObject } from "../domain/json.ts";
import { clip } from "../mcp/inbound-message.ts";

/** Why something was cancelled, in the words of who did, cut for a log; empty where no reason was given. */
export function reasonIn(params: JsonObject | undefined): string {
  const reason = params?.["reason"];
  return typeof reason === "string" ? clip(reason) : "";
}
