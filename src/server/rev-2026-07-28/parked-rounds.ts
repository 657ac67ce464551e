import { randomUUID } from "node:crypto";
import type { Round } from "./round.ts";

/** Calls that wait for their client to come back; beyond that the oldest is given up. */
const MAX_PARKED = 1_024;

/** The same for the clients of one session. */
const MAX_PARKED_PER_SESSION = 64;

/** The calls whose clients were asked something and are to come back with the answer. */
export class ParkedRounds {
  readonly #lifetimeMs: () => number;
  readonly #rounds = new Map<string, Round>();

  constructor(lifetimeMs: () => number) {
    this.#lifetimeMs = lifetimeMs;
  }

  /** Keeps a call, for its lifetime at most; returns the handle under which it is taken up again. */
  park(round: Round): string {
    const handle = randomUUID();
    this.#rounds.set(handle, round);
    round.waitFor(this.#lifetimeMs(), () => this.#rounds.delete(handle));
    const { sessionKey } = round.binding;
    const ofSession = [...this.#rounds].filter(
      ([, each]) => each.binding.sessionKey === sessionKey,
    );
    if (ofSession.length > MAX_PARKED_PER_SESSION) this.#giveUp(ofSession[0]);
    const [oldest] = this.#rounds;
    if (this.#rounds.size > MAX_PARKED) this.#giveUp(oldest);
    return handle;
  }

  /** Gives up all calls that wait: their clients cannot come back any more. */
  abandonAll(reason: string): void {
    for (const [handle, round] of this.#rounds) {
      this.#rounds.delete(handle);
      round.abandon(reason);
    }
  }

  #giveUp(entry: readonly [string, Round] | undefined): void {
    if (entry === undefined) return;
    const [handle, round] = entry;
    this.#rounds.delete(handle);
    round.abandon("Too many calls wait for their clients");
  }

  /** The call of that handle, which is good for this once. */
  take(handle: string): Round | undefined {
    const round = this.#rounds.get(handle);
    this.#rounds.delete(handle);
    return round;
  }
}
