import type { IncomingMessage, ServerResponse } from "node:http";
import { parseInbound, type MessageLimits } from "../mcp/inbound-message.ts";
import { readBody } from "./body.ts";

/**
 * The id of the request that a POST carries, as JSON text, for a refusal that names it; undefined where there is none
 * or it cannot be read. Never rejects.
 */
export async function readRequestId(
  request: IncomingMessage,
  response: ServerResponse,
  maxBytes: number,
  limits: MessageLimits,
): Promise<string | undefined> {
  if (request.method !== "POST") return undefined;
  try {
    const message = parseInbound(await readBody(request, response, maxBytes), limits);
    return message.kind === "request" || message.kind === "invalid" ? message.idJson : undefined;
  } catch {
    return undefined;
  }
}
