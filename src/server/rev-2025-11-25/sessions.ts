import type { IncomingMessage } from "node:http";
import { VmcpError, type VmcpErrorCode } from "../../domain/errors.ts";
import { isSameIdentity, type Identity } from "../../domain/identity.ts";
import { readClientProfile } from "../../gateway/initialize.ts";
import type { LateSignal } from "../../lib/late-signal.ts";
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
      /** Whose signal it is, where the creation may abort it too: whoever takes this needs no signal. */
      readonly withdrawal?: LateSignal | undefined;
    },
  ): Promise<EdgeSession>;
  getMultiSession(id: string): EdgeSession | undefined;
  /** Waits for a session that is being made; rejects with `session_not_found` for any other. */
  whenReady(id: string): Promise<EdgeSession>;
  terminate(id: string): Promise<unknown>;
  /** Calls the listener once for each session that was live, when it has ended. Default: nobody is told. */
  onSessionClosed?(listener: (id: string) => void): Disposable;
  /** Called when somebody asks for a session of somebody else. Must not throw. */
  readonly onForeign?: (asked: ForeignRequest) => void;
}

/** A request for a session by somebody who does not own it. */
interface ForeignRequest {
  readonly method: string;
  readonly address: string | undefined;
  readonly sessionId: string;
  /** Who asked. */
  readonly identity: Identity;
}

/** The client is gone when the one or the other aborts; a withdrawal is left to the session manager. */
export type OpeningOptions = (
  | { readonly signal: AbortSignal }
  | { readonly withdrawal: LateSignal }
) & {
  /** Where the client is; absent for one that is not on the network. */
  readonly address?: string | undefined;
};

/**
 * Makes the session that an `initialize` asks for. Rejects with `invalid_params`, `store_unavailable`, what the
 * session manager refuses, or the reason of the signal; then nothing of it is left.
 */
export async function openSession(
  sessions: EdgeSessions,
  request: InboundRequest,
  identity: Identity,
  opening: OpeningOptions,
): Promise<EdgeSession> {
  if (request.hasBadParams) throw new VmcpError("invalid_params", '"params" must be an object');
  const client = at(opening.address, readClientProfile(request.params));
  const id = await sessions.generate(identity);
  if (id === "") {
    throw new VmcpError("store_unavailable", "No session can be stored at the moment", {
      retryAfterSeconds: 30,
    });
  }
  try {
    const asked = new OpeningRequest(identity, client, opening);
    const session = await sessions.createSession(id, asked);
    asked.throwIfGone();
    return session;
  } catch (error) {
    // Nobody knows this id: without an end it would stay until its time to live has passed.
    await Promise.allSettled([sessions.terminate(id)]);
    throw error;
  }
}

class OpeningRequest {
  readonly identity: Identity;
  readonly client: ClientProfile;
  /** Many who say hello are health checks, or programs that end at once. */
  readonly endsUnused = true;
  readonly withdrawal: LateSignal | undefined;
  readonly #opening: OpeningOptions;

  constructor(identity: Identity, client: ClientProfile, opening: OpeningOptions) {
    this.identity = identity;
    this.client = client;
    this.withdrawal = "withdrawal" in opening ? opening.withdrawal : undefined;
    this.#opening = opening;
  }

  /** Made when it is asked for: a signal weighs more than the rest of the request. */
  get signal(): AbortSignal {
    return "withdrawal" in this.#opening ? this.#opening.withdrawal.signal : this.#opening.signal;
  }

  throwIfGone(): void {
    if ("withdrawal" in this.#opening) this.#opening.withdrawal.throwIfAborted();
    else this.#opening.signal.throwIfAborted();
  }
}

function at(address: string | undefined, profile: ClientProfile): ClientProfile {
  if (address === undefined) return profile;
  const { revision, capabilities, info } = profile;
  return { revision, capabilities, info, address };
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
  if (isOwner(session, identity)) return session;
  noteForeign(sessions, request, id, identity);
  // Goes the way of an unknown one, so that the delay of the answer does not tell them apart either.
  await sessions.whenReady(NO_SESSION_ID);
  throw notFound();
}

/** As `findSession`, for sessions that are live already; undefined where one would have to wait, or it is foreign. */
export function findLiveSession(
  sessions: EdgeSessions,
  request: IncomingMessage,
  identity: Identity,
): EdgeSession | undefined {
  const session = sessions.getMultiSession(sessionIdOf(request));
  return session !== undefined && isOwner(session, identity) ? session : undefined;
}

/** Tells whoever wants to know that a session was asked for by somebody who does not own it. */
export function noteForeign(
  { onForeign }: Pick<EdgeSessions, "onForeign">,
  { method = "", socket }: IncomingMessage,
  sessionId: string,
  identity: Identity,
): void {
  onForeign?.({ method, address: socket.remoteAddress, sessionId, identity });
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

/** The owner's proof may be another one than before, and is the one that counts from now on. */
function isOwner(session: EdgeSession, identity: Identity): boolean {
  if (!isSameIdentity(session.identity, identity)) return false;
  session.identify?.(identity);
  return true;
}

/** No session has this id. */
const NO_SESSION_ID = "00000000-0000-0000-0000-000000000000";

function notFound(): VmcpError {
  return new VmcpError("session_not_found", SESSION_NOT_FOUND);
}

const LOST_SESSION_CODES: ReadonlySet<VmcpErrorCode> = new Set([
  "session_closed",
  "session_not_found",
  "session_terminated",
]);

const SESSION_NOT_FOUND = "Session not found; send initialize to open a new one";
