import type { IncomingMessage, ServerResponse } from "node:http";
import { VmcpError } from "../../domain/errors.ts";
import type { Identity } from "../../domain/identity.ts";
import { formatSseEvent } from "../../mcp/sse.ts";
import { EVENT_STREAM_HEADERS, isFull } from "../answer-writer.ts";
import { refuse, type RefusalOptions } from "../http-errors.ts";
import { requireAcceptsEvents } from "../media-types.ts";
import type { OpenStreams } from "../open-streams.ts";
import { asRefusal, checkVersionHeader, findSession, type EdgeSessions } from "./sessions.ts";

export interface GetOptions extends RefusalOptions {
  readonly sessions: EdgeSessions;
  /** Bytes that may wait for a slow reader before messages are held back. */
  readonly streamBufferBytes: number;
  readonly streams: OpenStreams;
}

/** Opens the stream for what answers no request of the client. One per session; a second one is refused with 409. */
export async function handleGet(
  request: IncomingMessage,
  response: ServerResponse,
  identity: Identity,
  options: GetOptions,
): Promise<void> {
  const { streams, streamBufferBytes } = options;
  try {
    requireAcceptsEvents(request);
    checkVersionHeader(request);
    const session = await findSession(options.sessions, request, identity);
    if (request.headers["last-event-id"] !== undefined) {
      throw new VmcpError("invalid_request", "No event of this session has that id");
    }
    // A client that went away meanwhile would hold the session's one stream for ever: its close has come already.
    if (response.destroyed) return;
    const attached = session.attachStream({
      send: (message) => {
        if (response.destroyed || isFull(response, streamBufferBytes)) return false;
        if (!response.headersSent) response.writeHead(200, EVENT_STREAM_HEADERS);
        response.write(formatSseEvent({ data: message }));
        return true;
      },
      end: () => response.end(),
    });
    // A body of a GET means nothing; unread, it would keep the client's end of the stream from being noticed.
    request.resume();
    if (!response.headersSent) response.writeHead(200, EVENT_STREAM_HEADERS);
    response.flushHeaders();
    streams.add(response);
    response.on("drain", () => attached.flush());
    response.on("close", () => attached[Symbol.dispose]());
  } catch (error) {
    await refuse(request, response, asRefusal(error), options);
  }
}
