import type { ServerResponse } from "node:http";
import { formatSseEvent } from "../mcp/sse.ts";
import { readsEventsOnly } from "./media-types.ts";
import { EVENT_STREAM_HEADERS } from "./rev-2025-11-25/event-log.ts";

/**
 * Ends a response with the one JSON-RPC message that it consists of: as JSON, or as a stream of one event for a client
 * that reads nothing else. With the id of its session where that is new.
 */
export function writeLoneAnswer(
  response: ServerResponse,
  bytes: Buffer,
  newSessionId?: string,
): void {
  if (readsEventsOnly(response.req)) {
    if (newSessionId !== undefined) response.setHeader("mcp-session-id", newSessionId);
    response.writeHead(200, EVENT_STREAM_HEADERS).end(formatSseEvent({ data: bytes }));
    return;
  }
  const [type, length] = ["application/json", bytes.length];
  const head =
    newSessionId === undefined
      ? { "content-type": type, "content-length": length }
      : { "content-type": type, "content-length": length, "mcp-session-id": newSessionId };
  response.writeHead(200, head).end(bytes);
}
