import type { IncomingMessage, ServerResponse } from "node:http";
import type { Identity } from "../../domain/identity.ts";
import type { AttachedStream, ClientStream, EdgeSession } from "../../session/edge-session.ts";
import { refuse, type RefusalOptions } from "../http-errors.ts";
import { requireAcceptsEvents } from "../media-types.ts";
import type { EventLog, EventStream, StreamListener } from "./event-log.ts";
import type { EventLogs } from "./event-logs.ts";
import { asRefusal, checkVersionHeader, findSession, type EdgeSessions } from "./sessions.ts";

export interface GetOptions extends RefusalOptions {
  readonly sessions: EdgeSessions;
  readonly eventLogs: EventLogs;
}

/**
 * Opens the stream for what answers no request of the client, or goes on with one that was cut, whichever
 * kind it was. One stream of the first kind per session; a second one is refused with 409.
 */
export async function handleGet(
  request: IncomingMessage,
  response: ServerResponse,
  identity: Identity,
  options: GetOptions,
): Promise<void> {
  try {
    requireAcceptsEvents(request);
    checkVersionHeader(request);
    const session = await findSession(options.sessions, request, identity);
    // A client that went away meanwhile would hold the session's one stream for ever: its close has come already.
    if (response.destroyed) return;
    const events = options.eventLogs.of(session);
    const lastEventId = request.headers["last-event-id"];
    if (typeof lastEventId === "string") events.resume(lastEventId, response);
    else openStream(session, events, response);
    // A body of a GET means nothing; unread, it would keep the client's end of the stream from being noticed.
    request.resume();
  } catch (error) {
    await refuse(request, response, asRefusal(error), options);
  }
}

/** The stream stays the session's own while its connection is cut, until the client opens another. */
function openStream(session: EdgeSession, events: EventLog, response: ServerResponse): void {
  let stream: EventStream | undefined;
  let attached: AttachedStream | undefined;
  const client: ClientStream = {
    send: (message) => {
      stream ??= events.open(response, listener);
      if (!stream.isAttached || stream.isFull) return false;
      stream.write(message);
      return true;
    },
    end: () => stream?.endEarly(),
  };
  const listener: StreamListener = {
    drained: () => attached?.flush(),
    cut: () => {
      attached?.[Symbol.dispose]();
      attached = undefined;
    },
    resumed: () => {
      attached?.flush();
      attached ??= attachAgain(session, client, stream);
    },
  };
  attached = session.attachStream(client);
  stream ??= events.open(response, listener);
}

/** Another stream may have been opened meanwhile: then this one has nothing more to say. */
function attachAgain(
  session: EdgeSession,
  client: ClientStream,
  stream: EventStream | undefined,
): AttachedStream | undefined {
  try {
    return session.attachStream(client);
  } catch {
    stream?.end();
    return undefined;
  }
}
