import { VmcpError } from "../domain/errors.ts";
import type { BackendName } from "../domain/ids.ts";
import { settledWithin } from "../lib/settled-within.ts";
import type { SessionBackend } from "./backend-connection.ts";
import type { BackendLink } from "./backend-link.ts";
import type { Call } from "./call.ts";

export interface SessionLinksOptions {
  readonly create: (backend: SessionBackend) => BackendLink;
  /** The calls in flight on a link. */
  readonly callsOn: (link: BackendLink) => readonly Call[];
}

/**
 * The links of one session, one per configured backend, in the order of the configuration.
 *
 * A link whose backend was removed or replaced takes no new call; it is closed once its calls in flight are
 * over, which is waited for no longer than the drain deadline.
 */
export class SessionLinks implements AsyncDisposable {
  readonly #options: SessionLinksOptions;
  readonly #leaving = new Map<BackendLink, () => void>();
  readonly #departures = new Set<Promise<void>>();
  readonly #removed = new Set<BackendName>();
  #backends: ReadonlyMap<BackendName, SessionBackend> = new Map();
  #links: ReadonlyMap<BackendName, BackendLink> = new Map();

  constructor(options: SessionLinksOptions, backends: readonly SessionBackend[]) {
    this.#options = options;
    this.#set(backends);
  }

  get(backend: BackendName): BackendLink | undefined {
    return this.#links.get(backend);
  }

  values(): Iterable<BackendLink> {
    return this.#links.values();
  }

  /** Whether this is the link of its backend still, and not one on its way out. */
  isCurrent(link: BackendLink): boolean {
    return this.#links.get(link.name) === link;
  }

  /** Whether the session once had a backend of that name. */
  wasRemoved(backend: BackendName): boolean {
    return this.#removed.has(backend);
  }

  /**
   * Connects every link that is not connected. Resolves when each attempt has ended, or has been waited for
   * as long as `patienceMs` says of its link; undefined is without limit.
   */
  async connect(patienceMs: (link: BackendLink) => number | undefined): Promise<void> {
    await Promise.all(
      [...this.#links.values()].map(async (link) => {
        const ms = patienceMs(link);
        const attempt = link.connect();
        await (ms === undefined ? attempt : settledWithin(attempt, ms));
      }),
    );
  }

  /**
   * From now on the session has these backends. One that is the same object as before keeps its link; the
   * links of all others leave. Resolves when those are closed; new links are made but not connected.
   */
  async replace(backends: readonly SessionBackend[], drainDeadlineMs: number): Promise<void> {
    const before = this.#links;
    this.#set(backends);
    const gone = [...before.values()].filter((link) => !this.isCurrent(link));
    await Promise.all(gone.map(async (link) => this.#depart(link, drainDeadlineMs)));
  }

  /** A call on this link is over. On the path of every call: one comparison unless a link is leaving. */
  callEnded(link: BackendLink): void {
    if (this.#leaving.size === 0 || this.#options.callsOn(link).length > 0) return;
    this.#leaving.get(link)?.();
  }

  /** Closes every link at once, those on their way out included. Rejects if one did not close cleanly. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const leave of this.#leaving.values()) leave();
    const results = await Promise.allSettled([
      ...[...this.#links.values()].map(async (link) => link[Symbol.asyncDispose]()),
      ...this.#departures,
    ]);
    const failures = results.flatMap((result) =>
      result.status === "rejected" ? [VmcpError.from(result.reason)] : [],
    );
    if (failures.length === 0) return;
    const reasons = failures.map(({ message }) => message).join("; ");
    throw new VmcpError("internal", `Closing the session failed: ${reasons}`, {
      cause: new AggregateError(failures),
    });
  }

  #set(backends: readonly SessionBackend[]): void {
    const links = backends.map((backend): [BackendName, BackendLink] => {
      const isKept = this.#backends.get(backend.name) === backend;
      const kept = isKept ? this.#links.get(backend.name) : undefined;
      return [backend.name, kept ?? this.#options.create(backend)];
    });
    const names = new Set(backends.map(({ name }) => name));
    for (const name of this.#links.keys()) if (!names.has(name)) this.#removed.add(name);
    for (const name of names) this.#removed.delete(name);
    this.#backends = new Map(backends.map((backend) => [backend.name, backend]));
    this.#links = new Map(links);
  }

  async #depart(link: BackendLink, deadlineMs: number): Promise<void> {
    const departure = this.#closeWhenUnused(link, deadlineMs);
    this.#departures.add(departure);
    await departure;
    this.#departures.delete(departure);
  }

  async #closeWhenUnused(link: BackendLink, deadlineMs: number): Promise<void> {
    await this.#untilUnused(link, deadlineMs);
    for (const call of this.#options.callsOn(link)) call.abort(reconfigured(link.name));
    try {
      await link[Symbol.asyncDispose]();
    } catch {
      // The link has logged it, and the session goes on without it.
    }
  }

  async #untilUnused(link: BackendLink, deadlineMs: number): Promise<void> {
    if (this.#options.callsOn(link).length === 0) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#leaving.set(link, resolve);
      timer = setTimeout(resolve, deadlineMs);
    });
    clearTimeout(timer);
    this.#leaving.delete(link);
  }
}

function reconfigured(backend: BackendName): VmcpError {
  return new VmcpError(
    "backend_closed",
    `Backend "${backend}" was removed or changed while the call was in flight`,
    { backend, executionState: "unknown" },
  );
}
