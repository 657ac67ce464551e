import type { ServerResponse } from "node:http";
import { formatSseEvent } from "../mcp/sse.ts";
import { readsEventsOnly } from "./media-types.ts";
import { EVENT_STREAM_HEADERS } from "./rev-2025-11-25/event-log.ts";

/**
 * Ends a response with the one JSON-RPC message that it consists of: as JSON, or as a stream of one event for a client
 * that reads nothing else.
 */
export function writeLoneAnswer(response: ServerResponse, bytes: Buffer): void {
  if (readsEventsOnly(response.req)) {
    response.writeHead(200, EVENT_STREAM_HEADERS).end(formatSseEvent({ data: bytes }));
    return;
  }
  response
    .writeHead(200, { "content-type": "application/json", "content-length": bytes.length })
    .end(bytes);
}
