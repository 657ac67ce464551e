import { DEADLINES, type Deadline } from "../lib/deadlines.ts";
import { LateSignal } from "../lib/late-signal.ts";
import { backendError } from "./node-errors.ts";
import type { BackendSettings } from "./options.ts";

/**
 * The time in which one connection must be open: over when its caller's signal aborts or `startMs` have passed.
 * Every step of a start waits on it in turn, so that one listener and one deadline do for all of them.
 */
export class StartTime implements Disposable {
  readonly end = new LateSignal();
  readonly #given: AbortSignal;
  readonly #deadline: Deadline;

  /** Throws the reason of a signal that has aborted already. */
  constructor(settings: BackendSettings, signal: AbortSignal) {
    signal.throwIfAborted();
    this.#given = signal;
    this.#deadline = DEADLINES.add(settings.timeouts.startMs, () => {
      this.end.abort(startError(settings));
    });
    signal.addEventListener("abort", this);
  }

  /** As the work, or rejects when the time is over; what was waited for runs on then, and its failure is nobody's. */
  until(work: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.end.throwIfAborted();
      this.end.onAbort(reject);
      void follow(work, resolve, reject);
    });
  }

  handleEvent(): void {
    this.end.abort(this.#given.reason);
  }

  /** The start is done, whatever came of it: nothing of the time is left behind. */
  [Symbol.dispose](): void {
    this.#deadline.cancel();
    this.end.onAbort(undefined);
    this.#given.removeEventListener("abort", this);
  }
}

async function follow(
  work: Promise<void>,
  resolve: () => void,
  reject: (reason: unknown) => void,
): Promise<void> {
  try {
    await work;
    resolve();
  } catch (error) {
    reject(error);
  }
}

function startError({ name, timeouts }: BackendSettings): Error {
  const sentence = `did not start within ${timeouts.startMs / 1_000} s`;
  return backendError(name, "backend_timeout", sentence, { executionState: "not_executed" });
}
