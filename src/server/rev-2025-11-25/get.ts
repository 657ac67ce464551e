import type { IncomingMessage, ServerResponse } from "node:http";
import { VmcpError } from "../../domain/errors.ts";
import type { Identity } from "../../domain/identity.ts";
import type { Logger } from "../../domain/logger.ts";
import { formatSseEvent } from "../../mcp/sse.ts";
import { EVENT_STREAM_HEADERS } from "../answer-writer.ts";
import { writeError } from "../http-errors.ts";
import { requireAcceptsEvents } from "../media-types.ts";
import { checkVersionHeader, findSession, type EdgeSessions } from "./sessions.ts";

export interface GetOptions {
  readonly sessions: EdgeSessions;
  /** Bytes that may wait for a slow reader before messages are held back. */
  readonly streamBufferBytes: number;
  /** Every open stream, for heartbeats. */
  readonly openStreams: Set<ServerResponse>;
  readonly logger: Logger;
}

/** Opens the stream for what answers no request of the client. One per session; a second one is refused with 409. */
export async function handleGet(
  request: IncomingMessage,
  response: ServerResponse,
  identity: Identity,
  options: GetOptions,
): Promise<void> {
  const { openStreams, streamBufferBytes } = options;
  try {
    requireAcceptsEvents(request);
    checkVersionHeader(request);
    const session = await findSession(options.sessions, request, identity);
    if (request.headers["last-event-id"] !== undefined) {
      throw new VmcpError("invalid_request", "No event of this session has that id");
    }
    const attached = session.attachStream({
      send: (message) => {
        if (response.destroyed || response.writableLength > streamBufferBytes) return false;
        if (!response.headersSent) response.writeHead(200, EVENT_STREAM_HEADERS);
        response.write(formatSseEvent({ data: message }));
        return true;
      },
      end: () => response.end(),
    });
    if (!response.headersSent) response.writeHead(200, EVENT_STREAM_HEADERS);
    response.flushHeaders();
    openStreams.add(response);
    response.on("drain", () => attached.flush());
    response.on("close", () => {
      openStreams.delete(response);
      attached[Symbol.dispose]();
    });
  } catch (error) {
    writeError(response, error, options.logger);
  }
}
