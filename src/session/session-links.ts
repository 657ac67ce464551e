import { VmcpError } from "../domain/errors.ts";
import type { BackendName } from "../domain/ids.ts";
import { LateMap } from "../lib/late-map.ts";
import type { SessionBackend } from "./backend-connection.ts";
import type { BackendLink } from "./backend-link.ts";
import type { Call } from "./call.ts";
import { StartWait, type StartPatience } from "./start-wait.ts";

/** The session that the links belong to. */
export interface SessionLinksHost {
  createLink(backend: SessionBackend): BackendLink;
  /** The calls in flight on a link. */
  callsOn(link: BackendLink): readonly Call[];
}

// Shared by all sessions: most never need more.
const NONE: readonly never[] = [];
const NO_LINKS: ReadonlyMap<BackendName, BackendLink> = new Map();

/**
 * The links of one session, one per configured backend, in the order of the configuration.
 *
 * A link whose backend was removed or replaced takes no new call; it is closed once its calls in flight are
 * over, which is waited for no longer than the drain deadline.
 */
export class SessionLinks implements AsyncDisposable {
  readonly #host: SessionLinksHost;
  /** What wakes those who wait for a link to be unused. */
  readonly #leaving = new LateMap<BackendLink, () => void>();
  #departures: readonly Promise<void>[] = NONE;
  /** Names of backends that the session once had. */
  #removed: readonly BackendName[] = NONE;
  #links: ReadonlyMap<BackendName, BackendLink> = NO_LINKS;

  constructor(host: SessionLinksHost, backends: readonly SessionBackend[]) {
    this.#host = host;
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
    return this.#removed.includes(backend);
  }

  /**
   * Connects every link that is not connected. Resolves when each attempt has ended, or has been waited for long
   * enough; rejects only with the reason of the signal.
   */
  connect(isOptional: (link: BackendLink) => boolean, patience: StartPatience): Promise<void> {
    return StartWait.over(patience, (attempt) => {
      for (const link of this.#links.values()) {
        const isNeeded = !isOptional(link);
        attempt(link.connect(), isNeeded);
      }
    });
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
    if (this.#leaving.size === 0 || this.#host.callsOn(link).length > 0) return;
    this.#leaving.get(link)?.();
  }

  /** Closes every link at once, those on their way out included. Rejects if one did not close cleanly. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const leave of this.#leaving.values()) leave();
    const endings: Promise<VmcpError | undefined>[] = [];
    for (const link of this.#links.values()) endings.push(link.end());
    // All of them run at once, and none of them rejects.
    const failures: VmcpError[] = [];
    for (const ending of endings) {
      const failure = await ending;
      if (failure !== undefined) failures.push(failure);
    }
    for (const departure of this.#departures) await departure;
    if (failures.length === 0) return;
    const reasons = failures.map(({ message }) => message).join("; ");
    throw new VmcpError("internal", `Closing the session failed: ${reasons}`, {
      cause: new AggregateError(failures),
    });
  }

  #set(backends: readonly SessionBackend[]): void {
    const before = this.#links;
    const links = new Map<BackendName, BackendLink>();
    for (const backend of backends) {
      const known = before.get(backend.name);
      links.set(backend.name, known?.isTo(backend) ? known : this.#host.createLink(backend));
    }
    this.#links = links;
    if (before.size === 0) return;
    const once = new Set([...this.#removed, ...before.keys()]);
    this.#removed = [...once].filter((name) => !this.#links.has(name));
  }

  async #depart(link: BackendLink, deadlineMs: number): Promise<void> {
    const departure = this.#closeWhenUnused(link, deadlineMs);
    this.#departures = [...this.#departures, departure];
    await departure;
    this.#departures = this.#departures.filter((each) => each !== departure);
  }

  async #closeWhenUnused(link: BackendLink, deadlineMs: number): Promise<void> {
    await this.#untilUnused(link, deadlineMs);
    for (const call of this.#host.callsOn(link)) call.abort(reconfigured(link.name));
    // What failed was logged, and the session goes on without it.
    await link.end();
  }

  async #untilUnused(link: BackendLink, deadlineMs: number): Promise<void> {
    if (this.#host.callsOn(link).length === 0) return;
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
