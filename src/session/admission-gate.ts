import { VmcpError } from "../domain/errors.ts";

/**
 * Lets calls in until it is closed, and tells when the last one has left.
 *
 * `enter` and `leave` are the cheap pair for the hot path: one comparison and one addition. `admit` and
 * `tryAdmit` wrap them in something that `using` gives back. A gate never opens again.
 */
export class AdmissionGate {
  #inFlight = 0;
  #isClosed = false;
  #waiting: Set<() => void> | undefined;

  /** How many were let in and have not left. */
  get inFlight(): number {
    return this.#inFlight;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** True lets the caller in, who owes exactly one `leave`. False means that the gate is closed. */
  enter(): boolean {
    if (this.#isClosed) return false;
    this.#inFlight += 1;
    return true;
  }

  /** Gives back one `enter`. One too many is ignored. */
  leave(): void {
    if (this.#inFlight === 0) return;
    this.#inFlight -= 1;
    if (this.#inFlight === 0) this.#announceDrained();
  }

  /** As `enter`, for `using`; disposing twice leaves once. Undefined means that the gate is closed. */
  tryAdmit(): Disposable | undefined {
    if (!this.enter()) return undefined;
    let isInside = true;
    return {
      [Symbol.dispose]: () => {
        if (!isInside) return;
        isInside = false;
        this.leave();
      },
    };
  }

  /** As `tryAdmit`, but throws `session_closed` where the gate is closed. */
  admit(): Disposable {
    const admission = this.tryAdmit();
    if (admission === undefined) {
      throw new VmcpError("session_closed", "The session is closed: initialize a new one");
    }
    return admission;
  }

  /**
   * Refuses everyone from now on and waits until those inside have left. Resolves with false if
   * `deadlineMs` passed first. Only the first call waits: a repetition tells at once whether all have left.
   */
  async closeAndDrain(deadlineMs?: number): Promise<boolean> {
    const isRepeated = this.#isClosed;
    return this.close() || (!isRepeated && this.drained(deadlineMs));
  }

  /** Refuses everyone from now on and tells whether nobody is inside. */
  close(): boolean {
    this.#isClosed = true;
    return this.#inFlight === 0;
  }

  /** Waits until nobody is inside, without closing. Resolves with false if `deadlineMs` passed first. */
  async drained(deadlineMs?: number): Promise<boolean> {
    if (this.#inFlight === 0) return true;
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const settle = (isDrained: boolean) => {
        clearTimeout(timer);
        this.#waiting?.delete(onDrained);
        resolve(isDrained);
      };
      const onDrained = () => settle(true);
      this.#waiting ??= new Set();
      this.#waiting.add(onDrained);
      if (deadlineMs !== undefined) timer = setTimeout(settle, deadlineMs, false);
    });
  }

  #announceDrained(): void {
    for (const announce of this.#waiting ?? []) announce();
  }
}
