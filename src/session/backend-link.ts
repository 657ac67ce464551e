import type { CapabilitySet } from "../domain/capabilities.ts";
import { messageOf, VmcpError } from "../domain/errors.ts";
import type { BackendName } from "../domain/ids.ts";
import type { Logger } from "../domain/logger.ts";
import type { Semaphore } from "../lib/semaphore.ts";
import type { BackendMessage } from "../mcp/exchange.ts";
import type {
  BackendConnection,
  ConnectOutcome,
  ConnectRequest,
  SessionBackend,
} from "./backend-connection.ts";

/** Waits between attempts to reach a backend that failed. */
const FIRST_BACKOFF_MS = 500;
const MAX_BACKOFF_MS = 30_000;

type LinkState =
  | { readonly phase: "idle" }
  | { readonly phase: "connecting"; readonly attempt: Promise<void> }
  | { readonly phase: "ready"; readonly connection: BackendConnection }
  | { readonly phase: "failed"; readonly error: VmcpError; readonly retryAtMs: number }
  | { readonly phase: "closed" };

export interface LinkOptions {
  readonly backend: SessionBackend;
  /** The session's part of a connect request; the link adds its own listener and what is known of the lists. */
  readonly request: Omit<ConnectRequest, "listener" | "knownCapabilities">;
  /** Permits to take before connecting, narrowest first: those of the session, then those of the process. */
  readonly slots: readonly Semaphore[];
  readonly startTimeoutMs: number;
  /** How long closing waits for an attempt to connect that does not heed its signal; it closes itself later. */
  readonly closeDeadlineMs: number;
  readonly now: () => number;
  readonly logger: Logger;
  /** Lists that are known to be current, so that they need not be fetched. */
  readonly knownCapabilities: () => CapabilitySet | undefined;
  /** Called at each successful connect, before any call uses the connection. */
  readonly onReady: (link: BackendLink, capabilities: CapabilitySet, isFirst: boolean) => void;
  readonly onUnsolicited: (link: BackendLink, message: BackendMessage) => void;
}

/**
 * One session's link to one backend: it connects, remembers a failure, and connects again when asked to.
 *
 * However many ask at once, one attempt runs. A connection that arrives after the link was closed, or after
 * its attempt had timed out, is closed at once.
 */
export class BackendLink implements AsyncDisposable {
  readonly name: BackendName;
  readonly #options: LinkOptions;
  readonly #closing = new AbortController();
  /** Connections on their way out: closing the link waits for them too. */
  readonly #leaving = new Set<Promise<void>>();
  #state: LinkState = { phase: "idle" };
  #failures = 0;
  #connects = 0;
  /** The backend's state was lost and no answer has told the client yet. */
  #hasUntoldLoss = false;

  constructor(options: LinkOptions) {
    this.name = options.backend.name;
    this.#options = options;
  }

  get phase(): LinkState["phase"] {
    return this.#state.phase;
  }

  /** The connection if there is one right now; the call path asks this first. */
  get connection(): BackendConnection | undefined {
    return this.#state.phase === "ready" ? this.#state.connection : undefined;
  }

  get failure(): VmcpError | undefined {
    return this.#state.phase === "failed" ? this.#state.error : undefined;
  }

  /** Takes the mark that the next answer must carry, if the backend lost its state since the last one. */
  takeUntoldLoss(): boolean {
    const isUntold = this.#hasUntoldLoss;
    this.#hasUntoldLoss = false;
    return isUntold;
  }

  /** Connects unless connected; resolves when the attempt has ended, either way. */
  async connect(): Promise<void> {
    if (this.#state.phase === "connecting") return this.#state.attempt;
    if (this.#state.phase === "ready" || this.#state.phase === "closed") return undefined;
    const attempt = this.#attempt();
    this.#state = { phase: "connecting", attempt };
    return attempt;
  }

  /**
   * The connection, made if there is none. Rejects with the backend's failure, at once while a failed
   * backend is given time to recover.
   */
  async ready(): Promise<BackendConnection> {
    if (this.#state.phase === "failed" && this.#options.now() < this.#state.retryAtMs) {
      throw this.#state.error;
    }
    await this.connect();
    const state: LinkState = this.#state;
    if (state.phase === "ready") return state.connection;
    if (state.phase === "failed") throw state.error;
    throw new VmcpError("session_closed", "The session was closed; open a new one", {
      backend: this.name,
      executionState: "not_executed",
    });
  }

  /** A connection is gone or of no more use: the next call connects anew, without waiting. */
  lose(connection: BackendConnection, error: VmcpError): void {
    if (this.#state.phase !== "ready" || this.#state.connection !== connection) return;
    this.#state = { phase: "failed", error, retryAtMs: this.#options.now() };
    this.#letGo(connection);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const state = this.#state;
    this.#state = { phase: "closed" };
    this.#closing.abort(new VmcpError("session_closed", "The session was closed"));
    if (state.phase === "connecting") await state.attempt;
    if (state.phase === "ready") this.#letGo(state.connection);
    const results = await Promise.allSettled(this.#leaving);
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  async #attempt(): Promise<void> {
    const made: MadeConnection = {};
    let failure: unknown;
    try {
      const { connection, capabilities, error } = await this.#connectInTime(made);
      failure = error ?? made.lost;
      if (connection !== undefined && capabilities !== undefined && failure === undefined) {
        made.connection = connection;
        this.#accept(connection, capabilities);
        return;
      }
      if (connection !== undefined) this.#letGo(connection);
      failure ??= new Error("it connected without a connection or without its lists");
    } catch (thrown) {
      failure = thrown;
    }
    this.#fail(failure);
  }

  #accept(connection: BackendConnection, capabilities: CapabilitySet): void {
    if (this.#state.phase === "closed") {
      this.#letGo(connection);
      return;
    }
    const isFirst = this.#connects === 0;
    this.#connects += 1;
    this.#failures = 0;
    if (!isFirst) this.#hasUntoldLoss = true;
    this.#state = { phase: "ready", connection };
    this.#options.onReady(this, capabilities, isFirst);
  }

  #fail(thrown: unknown): void {
    if (this.#state.phase === "closed") return;
    const delayMs = Math.min(FIRST_BACKOFF_MS * 2 ** this.#failures, MAX_BACKOFF_MS);
    this.#failures += 1;
    const error = toUnavailable(this.name, thrown);
    this.#state = { phase: "failed", error, retryAtMs: this.#options.now() + delayMs };
    this.#options.logger.warn("backend could not be connected for a session", {
      backend: this.name,
      reason: error.message,
    });
  }

  async #connectInTime(made: MadeConnection): Promise<ConnectOutcome> {
    const { backend, slots, startTimeoutMs } = this.#options;
    const attempt = new AbortController();
    const giveUp = (): void => attempt.abort(this.#closing.signal.reason);
    this.#closing.signal.addEventListener("abort", giveUp, { once: true });
    if (this.#closing.signal.aborted) giveUp();
    const permits: Disposable[] = [];
    let timer: NodeJS.Timeout | undefined;
    try {
      for (const slot of slots) permits.push(await slot.acquire(attempt.signal));
      timer = setTimeout(() => {
        attempt.abort(startTimeout(this.name, startTimeoutMs));
      }, startTimeoutMs);
      return await this.#orAborted(
        backend.connect(this.#request(made), attempt.signal),
        attempt.signal,
      );
    } finally {
      clearTimeout(timer);
      for (const permit of permits) permit[Symbol.dispose]();
      this.#closing.signal.removeEventListener("abort", giveUp);
    }
  }

  /** Whatever still comes once nobody waits for it is closed. */
  async #orAborted(
    connecting: Promise<ConnectOutcome>,
    signal: AbortSignal,
  ): Promise<ConnectOutcome> {
    let onAbort: (() => void) | undefined;
    const aborted = new Promise<never>((_resolve, reject) => {
      onAbort = () => reject(signal.reason);
      if (signal.aborted) onAbort();
      signal.addEventListener("abort", onAbort, { once: true });
    });
    try {
      return await Promise.race([connecting, aborted]);
    } catch (thrown) {
      const late = closeWhenItComes(connecting);
      this.#track(settledOrAfter(late, this.#options.closeDeadlineMs));
      throw thrown;
    } finally {
      if (onAbort !== undefined) signal.removeEventListener("abort", onAbort);
    }
  }

  #request(made: MadeConnection): ConnectRequest {
    const known = this.#options.knownCapabilities();
    return {
      ...this.#options.request,
      ...(known !== undefined && { knownCapabilities: known }),
      listener: {
        unsolicited: (message) => {
          if (this.#state.phase !== "closed") this.#options.onUnsolicited(this, message);
        },
        lost: (error) => {
          made.lost = error;
          if (made.connection !== undefined) this.lose(made.connection, error);
        },
      },
    };
  }

  #letGo(connection: BackendConnection): void {
    this.#track(connection[Symbol.asyncDispose]());
  }

  #track(closing: Promise<void>): void {
    this.#leaving.add(closing);
    void this.#forget(closing);
  }

  async #forget(closing: Promise<void>): Promise<void> {
    try {
      await closing;
    } catch (error) {
      this.#options.logger.warn("backend connection did not close cleanly", {
        backend: this.name,
        reason: messageOf(error),
      });
    }
    // While the link closes, whoever closes it reads the outcome from the set.
    if (this.#state.phase !== "closed") this.#leaving.delete(closing);
  }
}

/** The connection that one attempt made, so that the loss of an older one harms nobody. */
interface MadeConnection {
  connection?: BackendConnection;
  lost?: VmcpError;
}

async function closeWhenItComes(connecting: Promise<ConnectOutcome>): Promise<void> {
  const outcome = await connecting.catch(() => undefined);
  await outcome?.connection?.[Symbol.asyncDispose]();
}

/** Waits for the work, but no longer than that; leaves no timer behind. */
async function settledOrAfter(work: Promise<void>, deadlineMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, deadlineMs);
  });
  try {
    await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

function startTimeout(backend: BackendName, timeoutMs: number): VmcpError {
  return new VmcpError("backend_timeout", `it did not start within ${timeoutMs} ms`, {
    backend,
    executionState: "not_executed",
  });
}

/** Nothing was sent to a backend that could not be connected, whatever went wrong on the way. */
function toUnavailable(backend: BackendName, thrown: unknown): VmcpError {
  const code = thrown instanceof VmcpError ? thrown.code : "backend_unreachable";
  const reason = messageOf(thrown).slice(0, 200);
  const message = reason.startsWith(`Backend "${backend}"`)
    ? reason
    : `Backend "${backend}" is unavailable: ${reason}`;
  return new VmcpError(code, message, { cause: thrown, backend, executionState: "not_executed" });
}
