import type { IncomingMessage, ServerResponse } from "node:http";
import type { Identity } from "../../domain/identity.ts";
import { refuse, type RefusalOptions } from "../http-errors.ts";
import {
  asRefusal,
  checkVersionHeader,
  findLiveSession,
  findSession,
  type EdgeSessions,
} from "./sessions.ts";

/** Ends a session. Answers when its calls have ended and every backend session is closed. */
export async function handleDelete(
  request: IncomingMessage,
  response: ServerResponse,
  identity: Identity,
  options: RefusalOptions & { readonly sessions: EdgeSessions },
): Promise<void> {
  try {
    checkVersionHeader(request);
    const session =
      findLiveSession(options.sessions, request, identity) ??
      (await findSession(options.sessions, request, identity));
    await options.sessions.terminate(session.id);
    response.writeHead(200, { "content-length": 0 }).end();
  } catch (error) {
    await refuse(request, response, asRefusal(error), options);
  }
}
