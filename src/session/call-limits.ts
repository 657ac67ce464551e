import { VmcpError } from "../domain/errors.ts";
import type { BackendName } from "../domain/ids.ts";

export interface CallLimitOptions {
  readonly callsPerProcess: number;
  readonly callsPerBackend: (backend: BackendName) => number;
}

/**
 * Bulkheads: how many calls may be in flight in the whole process and at one backend. Nothing queues here;
 * who finds no room is told so at once.
 */
export class CallLimits {
  #options: CallLimitOptions;
  readonly #atBackend = new Map<BackendName, number>();
  #inProcess = 0;

  constructor(options: CallLimitOptions) {
    this.#options = options;
  }

  /** Other limits from now on; calls in flight count on. */
  reconfigure(options: CallLimitOptions): void {
    this.#options = options;
  }

  /** Throws `overloaded` or `backend_busy`; otherwise `leave` must follow. */
  enter(backend: BackendName): void {
    const { callsPerProcess, callsPerBackend } = this.#options;
    if (this.#inProcess >= callsPerProcess) {
      throw new VmcpError("overloaded", "The gateway has too many calls in flight; try again", {
        retryAfterSeconds: 1,
      });
    }
    const held = this.#atBackend.get(backend) ?? 0;
    if (held >= callsPerBackend(backend)) {
      throw new VmcpError("backend_busy", `Backend "${backend}" has no free call slot; try again`, {
        backend,
        executionState: "not_executed",
        retryAfterSeconds: 1,
      });
    }
    this.#inProcess += 1;
    this.#atBackend.set(backend, held + 1);
  }

  leave(backend: BackendName): void {
    this.#inProcess -= 1;
    this.#atBackend.set(backend, (this.#atBackend.get(backend) ?? 1) - 1);
  }
}

export const NO_CALL_LIMITS: CallLimitOptions = {
  callsPerProcess: Number.POSITIVE_INFINITY,
  callsPerBackend: () => Number.POSITIVE_INFINITY,
};
