import { randomUUID } from "node:crypto";
import type { Round } from "./round.ts";

/** Calls that wait for their client to come back; beyond that the oldest is given up. */
const MAX_PARKED = 1_024;

/** The same for the clients of one session. */
const MAX_PARKED_PER_SESSION = 64;

/** The same for one identity: with enough sessions it would take the places of all others. */
const MAX_PARKED_PER_IDENTITY = 256;

interface Parked {
  readonly round: Round;
  /** Whose it is; undefined where clients are not told apart. */
  readonly owner: string | undefined;
}

/** The calls whose clients were asked something and are to come back with the answer. */
export class ParkedRounds {
  readonly #lifetimeMs: () => number;
  readonly #parked = new Map<string, Parked>();

  constructor(lifetimeMs: () => number) {
    this.#lifetimeMs = lifetimeMs;
  }

  /**
   * Keeps a call, for its lifetime at most; returns the handle under which it is taken up again. `owner` stands for
   * the identity that it belongs to.
   */
  park(round: Round, owner?: string): string {
    const handle = randomUUID();
    this.#parked.set(handle, { round, owner });
    round.waitFor(this.#lifetimeMs(), () => this.#parked.delete(handle));
    const { sessionKey } = round.binding;
    this.#limit(MAX_PARKED_PER_SESSION, (each) => each.round.binding.sessionKey === sessionKey);
    if (owner !== undefined) this.#limit(MAX_PARKED_PER_IDENTITY, (each) => each.owner === owner);
    this.#limit(MAX_PARKED, () => true);
    return handle;
  }

  /** Gives up all calls that wait: their clients cannot come back any more. */
  abandonAll(reason: string): void {
    for (const [handle, { round }] of this.#parked) {
      this.#parked.delete(handle);
      round.abandon(reason);
    }
  }

  /** The call of that handle, which is good for this once. */
  take(handle: string): Round | undefined {
    const parked = this.#parked.get(handle);
    this.#parked.delete(handle);
    return parked?.round;
  }

  /** Gives up the oldest of those where one more than the limit waits. */
  #limit(max: number, isCounted: (parked: Parked) => boolean): void {
    const counted = [...this.#parked].filter(([, parked]) => isCounted(parked));
    const [oldest] = counted;
    if (oldest === undefined || counted.length <= max) return;
    const [handle, { round }] = oldest;
    this.#parked.delete(handle);
    round.abandon("Too many calls wait for their clients");
  }
}
