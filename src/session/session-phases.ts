import { messageOf, VmcpError } from "../domain/errors.ts";
import type { SessionRecord } from "./session-record.ts";
import type { TransportSessionManager } from "./transport-session-manager.ts";

/** The metadata that marks a placeholder whose client has gone before the session was made. */
export const TERMINATED_KEY = "terminated";
export const TERMINATED_VALUE = "true";

/** A lost race means that someone else made progress; this many in a row mean that the storage is broken. */
const WRITE_ATTEMPTS = 16;

/** The first check before a session is made: nothing is opened for a client that has already gone. */
export function requirePlaceholder(record: SessionRecord | undefined): SessionRecord {
  if (record === undefined) {
    throw notFound("session placeholder not found (terminated concurrently?)");
  }
  if (record.phase === "terminated") {
    throw terminated("session was terminated before backend connections could be opened");
  }
  if (record.phase === "live") throw new VmcpError("session_exists", "session exists already");
  return record;
}

/**
 * The second check, which is the write itself: turns the placeholder into a live session unless anything
 * happened to it since it was read. A placeholder that only changed is tried again.
 */
export async function publish(
  transport: TransportSessionManager,
  placeholder: SessionRecord,
  metadata: Readonly<Record<string, string>>,
): Promise<void> {
  let seen = placeholder;
  for (let attempt = 1; attempt <= WRITE_ATTEMPTS; attempt += 1) {
    try {
      if (await transport.replaceIf(seen, { phase: "live", metadata })) return;
    } catch (error) {
      throw await uncertain(transport, seen, error);
    }
    seen = await requireStillPlaceholder(transport, seen.id);
  }
  throw new VmcpError("store_unavailable", "failed to replace placeholder: it kept changing");
}

/**
 * Marks a placeholder as terminated, or deletes it where the storage refuses the mark. Resolves with false
 * if the record changed meanwhile. Throws `store_unavailable` if neither could be done.
 */
export async function markTerminated(
  transport: TransportSessionManager,
  placeholder: SessionRecord,
): Promise<boolean> {
  const metadata = { ...placeholder.metadata, [TERMINATED_KEY]: TERMINATED_VALUE };
  try {
    return await transport.replaceIf(placeholder, { phase: "terminated", metadata });
  } catch (upsertError) {
    return deleteInstead(transport, placeholder, upsertError);
  }
}

/** Repeats `attempt` until it succeeds; each false is a race that someone else won. */
export async function untilWon(attempt: () => Promise<boolean>): Promise<void> {
  for (let count = 1; count <= WRITE_ATTEMPTS; count += 1) {
    if (await attempt()) return;
  }
  throw new VmcpError("store_unavailable", "the session's record kept changing: try again");
}

export function notFound(message: string): VmcpError {
  return new VmcpError("session_not_found", message);
}

export function terminated(message: string): VmcpError {
  return new VmcpError("session_terminated", message);
}

/** A write that was reported as failed may have happened; a live record without a session must not stay. */
async function uncertain(
  transport: TransportSessionManager,
  seen: SessionRecord,
  failure: unknown,
): Promise<VmcpError> {
  try {
    await transport.deleteIf({ ...seen, generation: seen.generation + 1 });
  } catch {
    // The failure that is reported is the one of the write.
  }
  const message = `failed to replace placeholder: ${messageOf(failure)}`;
  return new VmcpError("store_unavailable", message, { cause: failure });
}

async function requireStillPlaceholder(
  transport: TransportSessionManager,
  id: string,
): Promise<SessionRecord> {
  const record = await transport.get(id);
  if (record === undefined) throw notFound("session placeholder disappeared during backend init");
  if (record.phase === "terminated") {
    throw terminated("session was terminated during backend init (marked after first check)");
  }
  if (record.phase === "live") throw new VmcpError("session_exists", "session exists already");
  return record;
}

async function deleteInstead(
  transport: TransportSessionManager,
  placeholder: SessionRecord,
  upsertError: unknown,
): Promise<boolean> {
  try {
    return await transport.deleteIf(placeholder);
  } catch (deleteError) {
    throw new VmcpError(
      "store_unavailable",
      `failed to terminate session placeholder: upsertErr=${messageOf(upsertError)} deleteErr=${messageOf(deleteError)}`,
      { cause: upsertError },
    );
  }
}
