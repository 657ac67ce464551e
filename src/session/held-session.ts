import type { LateSignal } from "../lib/late-signal.ts";
import type { MultiSession } from "./session.ts";

/**
 * Where one session stands in this process. The record in the storage says what everybody may know; this
 * says what must be closed.
 */
export type HeldSession<S extends MultiSession> =
  | PlaceholderSession<S>
  | CreatingSession<S>
  | {
      readonly phase: "live";
      readonly session: S;
      /** Whether it ends early where nothing is asked of it. */
      readonly endsUnused: boolean;
    }
  | { readonly phase: "closing"; readonly session: S; readonly done: Promise<void> };

/** An id that was handed out and waits for its session. */
interface PlaceholderSession<S extends MultiSession> {
  readonly phase: "placeholder";
  readonly ready: Readiness<S>;
}

/** A session whose backends are being connected. */
export interface CreatingSession<S extends MultiSession> {
  readonly phase: "creating";
  readonly ready: Readiness<S>;
  readonly abort: LateSignal;
}

/** A session that will be there later, or the reason why not. Settles once; nobody has to listen. */
export class Readiness<S> {
  #outcome: { readonly session: S } | { readonly error: unknown } | undefined;
  /** Made for the first who waits: for most sessions nobody does. */
  #promise: Promise<S> | undefined;
  #resolve: ((session: S) => void) | undefined;
  #reject: ((error: unknown) => void) | undefined;

  succeed(session: S): void {
    if (this.#outcome !== undefined) return;
    this.#outcome = { session };
    this.#resolve?.(session);
  }

  fail(error: unknown): void {
    if (this.#outcome !== undefined) return;
    this.#outcome = { error };
    this.#reject?.(error);
  }

  /** Waits for the session; rejects with the reason of the signal if that aborts first. */
  async wait(signal?: AbortSignal): Promise<S> {
    if (signal === undefined) return this.#later;
    signal.throwIfAborted();
    let onAbort: (() => void) | undefined;
    const aborted = new Promise<never>((_resolve, reject) => {
      onAbort = () => reject(signal.reason);
      signal.addEventListener("abort", onAbort, { once: true });
    });
    try {
      return await Promise.race([this.#later, aborted]);
    } finally {
      if (onAbort !== undefined) signal.removeEventListener("abort", onAbort);
    }
  }

  /** Resolves when it is known whether there is a session, or when the deadline has passed. */
  async settled(deadlineMs?: number): Promise<void> {
    const settled = Promise.allSettled([this.#later]);
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<void>((resolve) => {
      if (deadlineMs !== undefined) timer = setTimeout(resolve, deadlineMs);
    });
    await Promise.race([settled, deadline]);
    clearTimeout(timer);
  }

  get #later(): Promise<S> {
    this.#promise ??= new Promise((resolve, reject) => {
      const outcome = this.#outcome;
      if (outcome === undefined) {
        this.#resolve = resolve;
        this.#reject = reject;
      } else if ("session" in outcome) resolve(outcome.session);
      else reject(outcome.error);
    });
    // Without a listener a rejection would end the process.
    this.#promise.catch(() => {});
    return this.#promise;
  }
}
