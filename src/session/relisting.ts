import type { BackendName } from "../domain/ids.ts";

/** A backend that says again and again that its lists changed is asked at most this often. */
const MIN_GAP_MS = 1_000;

type Run =
  | { readonly phase: "running"; again: boolean }
  | { readonly phase: "resting"; again: boolean; readonly timer: NodeJS.Timeout };

/**
 * Fetches a backend's lists again when it says that they changed: at once the first time, then at most once
 * a second per backend, and once more after the last change.
 */
export class Relisting {
  readonly #fetch: (backend: BackendName, signal: AbortSignal) => Promise<void>;
  readonly #runs = new Map<BackendName, Run>();
  /** Made with the first run: most sessions end without one, and to abort costs an exception with its stack. */
  #closing: AbortController | undefined;
  #isClosed = false;

  constructor(fetch: (backend: BackendName, signal: AbortSignal) => Promise<void>) {
    this.#fetch = fetch;
  }

  request(backend: BackendName): void {
    if (this.#isClosed) return;
    const run = this.#runs.get(backend);
    if (run === undefined) void this.#run(backend);
    else run.again = true;
  }

  close(): void {
    this.#isClosed = true;
    this.#closing?.abort();
    for (const run of this.#runs.values()) {
      if (run.phase === "resting") clearTimeout(run.timer);
    }
    this.#runs.clear();
  }

  async #run(backend: BackendName): Promise<void> {
    const run: Run = { phase: "running", again: false };
    this.#runs.set(backend, run);
    this.#closing ??= new AbortController();
    try {
      await this.#fetch(backend, this.#closing.signal);
    } catch {
      // The backend failed to say what it has now: what it had stays listed until it says so again.
    }
    if (this.#isClosed) return;
    this.#rest(backend, run.again);
  }

  #rest(backend: BackendName, again: boolean): void {
    const timer = setTimeout(() => {
      const isWanted = this.#runs.get(backend)?.again === true;
      this.#runs.delete(backend);
      if (isWanted) void this.#run(backend);
    }, MIN_GAP_MS);
    this.#runs.set(backend, { phase: "resting", again, timer: timer.unref() });
  }
}
