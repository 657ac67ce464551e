import { STATELESS_REVISION } from "../../mcp/revisions.ts";

/** Revisions with sessions, begun by `initialize`; or the one without, in which each request stands alone. */
export type Family = "sessionful" | "stateless";

/** A sign that a backend speaks otherwise than known is not followed up again so soon after it was asked. */
const CERTAIN_MS = 10_000;

/** A backend of sessions may come to know the other family as well, which nothing else would tell. */
const ASK_AGAIN_MS = 3_600_000;

/**
 * Which family of revisions one backend speaks, as far as it is known: shared by all its connections, so that it
 * is found out once, and corrected by what they meet.
 */
export class SpokenFamily {
  readonly #pinned: Family | undefined;
  #family: Family | undefined;
  readonly #now: () => number;
  #knownSinceMs = 0;
  #isDoubted = false;

  /** `revision` as configured; `auto` and undefined leave it to be found out. `now` is in monotonic milliseconds. */
  constructor(revision: string | undefined, now: () => number = () => performance.now()) {
    this.#pinned = pinnedBy(revision);
    this.#family = this.#pinned;
    this.#now = now;
  }

  get isPinned(): boolean {
    return this.#pinned !== undefined;
  }

  /** Undefined while nobody knows. */
  get known(): Family | undefined {
    return this.#family;
  }

  /** The backend has just shown it. */
  confirm(family: Family): void {
    if (this.#pinned !== undefined) return;
    this.#family = family;
    this.#isDoubted = false;
    this.#knownSinceMs = this.#now();
  }

  /**
   * Whether a new connection asks before it says anything else. While nothing is known, only the gateway's own look
   * at the backend does: sessions need not wait for it, because most backends have sessions.
   */
  mustAsk(isProbe: boolean): boolean {
    if (this.#family === "stateless" || this.#isDoubted) return true;
    if (this.#pinned !== undefined || !isProbe) return false;
    return this.#family === undefined || this.#ageMs > ASK_AGAIN_MS;
  }

  /**
   * A connection of that family was answered as by a backend of the other one. True where it is to be left for a new
   * one, which asks the backend; false where it is certain that nothing changed, and the answer means what it says.
   */
  doubt(family: Family): boolean {
    if (this.#pinned !== undefined) return false;
    if (this.#family !== family) return true;
    if (this.#ageMs < CERTAIN_MS) return false;
    this.#family = undefined;
    this.#isDoubted = true;
    return true;
  }

  get #ageMs(): number {
    return this.#now() - this.#knownSinceMs;
  }
}

function pinnedBy(revision: string | undefined): Family | undefined {
  if (revision === undefined || revision === "auto") return undefined;
  return revision === STATELESS_REVISION ? "stateless" : "sessionful";
}
