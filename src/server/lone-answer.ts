import type { ServerResponse } from "node:http";
import { encodeResult, RESULT_TAIL, resultHead } from "../mcp/json-rpc.ts";
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

/** A result of at least so many bytes is not copied to stand in one piece with what is around it. */
const LARGE_BYTES = 32_768;

/** As `writeLoneAnswer`, with a message around a result that is JSON already. `idJson` is the id as the client wrote it. */
export function writeResult(
  response: ServerResponse,
  idJson: string,
  result: string | Buffer,
): void {
  const isSmall = typeof result === "string" || result.length < LARGE_BYTES;
  if (isSmall || readsEventsOnly(response.req)) {
    writeLoneAnswer(response, encodeResult(idJson, result));
    return;
  }
  const head = Buffer.from(resultHead(idJson));
  const length = head.length + result.length + RESULT_TAIL.length;
  response.writeHead(200, { "content-type": "application/json", "content-length": length });
  // Held together by node until the end of this turn: they leave in one write.
  response.write(head);
  response.write(result);
  response.end(RESULT_TAIL);
}
