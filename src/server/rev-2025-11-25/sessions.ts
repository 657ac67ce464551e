import type { IncomingMessage } from "node:http";
import { VmcpError, type VmcpErrorCode } from "../../domain/errors.ts";
import { isSameIdentity, type Identity } from "../../domain/identity.ts";
import { readClientProfile } from "../../gateway/initialize.ts";
import type { InboundRequest } from "../../mcp/inbound-message.ts";
import { isSessionfulRevision, SESSIONFUL_REVISIONS } from "../../mcp/revisions.ts";
import type { ClientProfile } from "../../session/backend-connection.ts";
import type { EdgeSession } from "../../session/edge-session.ts";

/** What the endpoint needs of the session manager. */
export interface EdgeSessions {
  /** A new id, or "" where the store refuses. */
  generate(identity: Identity): Promise<string>;
  createSession(
    id: string,
    request: {
      readonly identity: Identity;
      readonly client: ClientProfile;
      readonly endsUnused: boolean;
      readonly signal: AbortSignal;
    },
  ): Promise<EdgeSession>;
  getMultiSession(id: string): EdgeSession | undefined;
  /** Waits for a session that is being made; rejects with `session_not_found` for any other. */
  whenReady(id: string): Promise<EdgeSession>;
  terminate(id: string): Promise<unknown>;
}

export interface OpeningOptions {
  /** The client is gone. */
  readonly signal: AbortSignal;
  /** Where the client is; absent for one that is not on the network. */
  readonly address?: string | undefined;
}

/**
 * Makes the session that an `initialize` asks for. Rejects with `invalid_params`, `store_unavailable`, what the
 * session manager refuses, or the reason of the signal; then nothing of it is left.
 */
export async function openSession(
  sessions: EdgeSessions,
  request: InboundRequest,
  identity: Identity,
  { signal, address }: OpeningOptions,
): Promise<EdgeSession> {
  if (request.hasBadParams) throw new VmcpError("invalid_params", '"params" must be an object');
  const client = {
    ...readClientProfile(request.params),
    ...(address !== undefined && { address }),
  };
  const id = await sessions.generate(identity);
  if (id === "") {
    throw new VmcpError("store_unavailable", "No session can be stored at the moment", {
      retryAfterSeconds: 30,
    });
  }
  try {
    // Many who say hello are health checks, or programs that end at once.
    const asked = { identity, client, endsUnused: true, signal };
    const session = await sessions.createSession(id, asked);
    signal.throwIfAborted();
    return session;
  } catch (error) {
    // Nobody knows this id: without an end it would stay until its time to live has passed.
    await Promise.allSettled([sessions.terminate(id)]);
    throw error;
  }
}

/**
 * Finds the session that a request belongs to.
 *
 * Rejects with `session_required` without a session id and `session_not_found` for an unknown, ended or
 * foreign one: whose session it is cannot be told from the answer. A session that is still being made is
 * waited for.
 */
export async function findSession(
  sessions: EdgeSessions,
  request: IncomingMessage,
  identity: Identity,
): Promise<EdgeSession> {
  const id = sessionIdOf(request);
  const session = sessions.getMultiSession(id) ?? (await sessions.whenReady(id));
  return checkOwner(session, identity);
}

/** As `findSession`, for sessions that are live already; undefined where one would have to wait. */
export function findLiveSession(
  sessions: EdgeSessions,
  request: IncomingMessage,
  identity: Identity,
): EdgeSession | undefined {
  const session = sessions.getMultiSession(sessionIdOf(request));
  return session && checkOwner(session, identity);
}

/** Throws `session_required` where the header is missing. */
function sessionIdOf({ headers }: IncomingMessage): string {
  const id = headers["mcp-session-id"];
  if (typeof id !== "string" || id === "") {
    throw new VmcpError(
      "session_required",
      "The Mcp-Session-Id header is missing: send initialize first, then the id it answers with",
    );
  }
  return id;
}

/** Throws `invalid_request` for a revision that we do not speak; an absent header is fine. */
export function checkVersionHeader({ headers }: IncomingMessage): void {
  const version = headers["mcp-protocol-version"];
  if (version === undefined || isSessionfulRevision(version)) return;
  throw new VmcpError(
    "invalid_request",
    `The MCP-Protocol-Version header must be one of ${SESSIONFUL_REVISIONS.join(", ")}`,
  );
}

/**
 * What a request is refused with: whatever is wrong with its session, the answer is the same to the byte.
 *
 * A session on its way out counts as gone, because what comes too late was not sent anywhere and only 404 makes
 * clients open a new one.
 */
export function asRefusal(error: unknown): unknown {
  return error instanceof VmcpError && LOST_SESSION_CODES.has(error.code) ? notFound() : error;
}

function checkOwner(session: EdgeSession, identity: Identity): EdgeSession {
  if (!isSameIdentity(session.identity, identity)) throw notFound();
  session.identify?.(identity);
  return session;
}

function notFound(): VmcpError {
  return new VmcpError("session_not_found", SESSION_NOT_FOUND);
}

const LOST_SESSION_CODES: ReadonlySet<VmcpErrorCode> = new Set([
  "session_closed",
  "session_not_found",
  "session_terminated",
]);

const SESSION_NOT_FOUND = "Session not found; send initialize to open a new one";
