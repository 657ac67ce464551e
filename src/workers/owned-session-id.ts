import { randomBytes } from "node:crypto";
import { parseSessionId, type SessionId } from "../domain/ids.ts";

/** Worker indexes have to fit into the first byte of a session id, and machines have no more cores to speak of. */
export const MAX_WORKERS = 64;

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const UUID_BYTES = 16;

/**
 * Makes an unguessable session id that tells its owner: a version 4 UUID whose first byte is the worker's index
 * and whose other 114 free bits are random.
 */
export function mintOwnedSessionId(owner: number): SessionId {
  const bytes = randomBytes(UUID_BYTES);
  bytes[0] = owner;
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString("hex");
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20)];
  return parseSessionId([...parts, hex.slice(20)].join("-"));
}

/** The index of the worker that would own a session of this id; undefined for an id that none of them can have made. */
export function ownerOf(id: string, workers: number): number | undefined {
  if (!UUID_V4.test(id)) return undefined;
  const owner = Number.parseInt(id.slice(0, 2), 16);
  return owner < workers ? owner : undefined;
}
