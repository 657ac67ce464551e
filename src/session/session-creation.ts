import { messageOf, VmcpError } from "../domain/errors.ts";
import type { VmcpErrorCode } from "../domain/errors.ts";
import type { Identity } from "../domain/identity.ts";
import type { SessionId } from "../domain/ids.ts";
import type { LateSignal } from "../lib/late-signal.ts";
import type { ClientProfile, SessionBackend } from "./backend-connection.ts";
import type { MakeSessionOptions, MultiSession, MultiSessionFactory } from "./session.ts";
import { withdrawalOf, type Withdrawable } from "./withdrawal.ts";

export interface CreateSessionRequest {
  readonly identity: Identity;
  readonly client: ClientProfile;
  /** The session ends early where its client never asks anything of it. Default false. */
  readonly endsUnused?: boolean;
  /** Gives up; what was opened so far is closed. */
  readonly signal?: AbortSignal;
}

/** What it takes to make sessions. */
export interface SessionMaking<S extends MultiSession> {
  readonly factory: MultiSessionFactory<S>;
  /** The backends of a session that is made now, whether they are healthy or not. */
  readonly backends: () => readonly SessionBackend[];
  /** How long a session that closes waits for its calls in flight before they are aborted. */
  readonly drainDeadlineMs: number;
}

/** After a failure with one of these, there is no placeholder left that could be tried again. */
const FINAL_CODES: ReadonlySet<VmcpErrorCode> = new Set([
  "session_exists",
  "session_not_found",
  "session_terminated",
  "shutting_down",
]);

/** Whether the error says that the placeholder itself is at an end. */
export function isFinal(error: unknown): error is VmcpError {
  return error instanceof VmcpError && FINAL_CODES.has(error.code);
}

/**
 * Makes the session of one placeholder. Where `ended` aborts with a final error, that error is what it
 * throws; any other failure is "failed to create multi-session: …" with the code of its cause, `cancelled`
 * where the caller gave up.
 */
export async function makeSession<S extends MultiSession>(
  making: SessionMaking<S>,
  id: SessionId,
  request: CreateSessionRequest,
  ended: LateSignal,
): Promise<S> {
  const { identity, client } = request;
  const given = withdrawalOf(request) === undefined ? request.signal : undefined;
  const giveUp = given === undefined ? undefined : () => ended.abort(given.reason);
  try {
    if (given?.aborted === true) giveUp?.();
    if (giveUp !== undefined) given?.addEventListener("abort", giveUp, { once: true });
    ended.throwIfAborted();
    const { backends, drainDeadlineMs, factory } = making;
    const options = new MakingOptions(client, drainDeadlineMs, ended);
    return await factory.makeSessionWithId(id, identity, backends(), options);
  } catch (error) {
    // The factory may say in its own words that it was aborted; the signal knows why.
    const cause: unknown = ended.isAborted ? ended.reason : error;
    if (isFinal(cause)) throw cause;
    const { code } = VmcpError.from(cause);
    const message = `failed to create multi-session: ${messageOf(cause)}`;
    throw new VmcpError(ended.isAborted ? "cancelled" : code, message, { cause });
  } finally {
    // A listener that stayed would keep the session's beginnings alive as long as its caller's signal.
    if (giveUp !== undefined) given?.removeEventListener("abort", giveUp);
  }
}

class MakingOptions implements MakeSessionOptions, Withdrawable {
  readonly client: ClientProfile;
  readonly drainDeadlineMs: number;
  readonly withdrawal: LateSignal;

  constructor(client: ClientProfile, drainDeadlineMs: number, withdrawal: LateSignal) {
    this.client = client;
    this.drainDeadlineMs = drainDeadlineMs;
    this.withdrawal = withdrawal;
  }

  /** Made when a factory asks for it. */
  get signal(): AbortSignal {
    return this.withdrawal.signal;
  }
}
