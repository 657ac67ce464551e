import type { BackendName } from "../domain/ids.ts";
import { Semaphore } from "../lib/semaphore.ts";

/** One backend that does not answer holds at most this part of all permits, so that the others go on. */
const SHARE = 1 / 8;

/** The permits of all sessions to connect to one backend, for each backend. */
export class BackendSlots {
  readonly #limit: number;
  readonly #byBackend = new Map<BackendName, Semaphore>();

  constructor(processLimit: number) {
    this.#limit = Math.max(1, Math.ceil(processLimit * SHARE));
  }

  of(backend: BackendName): Semaphore {
    const known = this.#byBackend.get(backend);
    if (known !== undefined) return known;
    const slots = new Semaphore(this.#limit);
    this.#byBackend.set(backend, slots);
    return slots;
  }
}
