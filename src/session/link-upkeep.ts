import type { VmcpError } from "../domain/errors.ts";
import type { Logger } from "../domain/logger.ts";
import { DEADLINES, type Deadline } from "../lib/deadlines.ts";
import { encodeRequest, OWN_ID_PREFIX } from "../mcp/json-rpc.ts";
import type { BackendConnection } from "./backend-connection.ts";
import type { LinkPolicy } from "./link-policy.ts";

/** How long a ping may take; a backend that is slower than that is of little use to a call. */
const PING_TIMEOUT_MS = 10_000;

/** Pings that fail in a row before a connection is left in peace: its backend may not know the method. */
const MAX_FAILED_PINGS = 3;

/** What looks after a link needs to know of it and may do to it. */
export interface UpkeptLink {
  readonly connection: BackendConnection | undefined;
  readonly callsInFlight: number;
  /** When the last call ended, or the connection was made. */
  readonly lastUsedAtMs: number;
  /** Connects again if the connection was lost and an attempt is due. */
  reattach(): void;
  /** Closes the connection until a call needs it. */
  rest(): void;
}

export interface UpkeepOptions {
  readonly policy: LinkPolicy;
  readonly link: UpkeptLink;
  readonly now: () => number;
  readonly logger: Logger;
}

/** Whether a policy asks for anything between calls. */
export function needsUpkeep({ keepaliveMs, idleMs }: LinkPolicy): boolean {
  return keepaliveMs !== undefined || idleMs !== undefined;
}

/**
 * Looks after one link between calls: pings a connection that is not used, has one that was lost made again
 * ahead of the next call, and closes one that nobody has used for long.
 *
 * It waits on the wheel of deadlines, one entry per link, and only where the policy asks for any of it
 * (`needsUpkeep`).
 */
export class LinkUpkeep {
  readonly #options: UpkeepOptions;
  readonly #periodMs: number;
  #deadline: Deadline | undefined;
  #pings = 0;
  /** The connection that pings were last sent on, and how that went. */
  #pinged:
    | { readonly connection: BackendConnection; failed: number; isAwaited: boolean }
    | undefined;

  constructor(options: UpkeepOptions) {
    this.#options = options;
    const { keepaliveMs, idleMs } = options.policy;
    this.#periodMs = Math.min(
      keepaliveMs ?? Number.POSITIVE_INFINITY,
      idleMs ?? Number.POSITIVE_INFINITY,
    );
  }

  /** Begins with the first connection. Safe to repeat. */
  start(): void {
    if (this.#deadline === undefined && Number.isFinite(this.#periodMs)) this.#wait(this.#periodMs);
  }

  stop(): void {
    this.#deadline?.cancel();
    this.#deadline = undefined;
  }

  #wait(ms: number): void {
    this.#deadline = DEADLINES.add(ms, () => this.#look());
  }

  #look(): void {
    const { policy, link, now } = this.#options;
    const { connection } = link;
    const unusedMs = link.callsInFlight > 0 ? 0 : now() - link.lastUsedAtMs;
    const { idleMs = Number.POSITIVE_INFINITY, keepaliveMs = Number.POSITIVE_INFINITY } = policy;
    if (connection === undefined) {
      if (Number.isFinite(keepaliveMs)) link.reattach();
    } else if (unusedMs >= idleMs) {
      link.rest();
    } else if (unusedMs >= keepaliveMs) {
      this.#ping(connection);
    }
    const leftMs = this.#periodMs - unusedMs;
    this.#wait(leftMs > 0 ? leftMs : this.#periodMs);
  }

  #ping(connection: BackendConnection): void {
    if (this.#pinged?.connection !== connection) {
      this.#pinged = { connection, failed: 0, isAwaited: false };
    }
    const pinged = this.#pinged;
    if (pinged.isAwaited || pinged.failed >= MAX_FAILED_PINGS) return;
    pinged.isAwaited = true;
    this.#pings += 1;
    const id = `${OWN_ID_PREFIX}keepalive:${this.#pings}`;
    const request = {
      id,
      method: "ping",
      bytes: encodeRequest(id, "ping"),
      timeoutMs: PING_TIMEOUT_MS,
    };
    connection.forward(request, {
      event: () => true,
      // An error is an answer too: whoever can refuse is alive.
      answer: () => {
        pinged.isAwaited = false;
        pinged.failed = 0;
      },
      fail: (error) => {
        pinged.isAwaited = false;
        pinged.failed += 1;
        this.#pingFailed(connection, pinged.failed, error);
      },
    });
  }

  #pingFailed(connection: BackendConnection, failed: number, error: VmcpError): void {
    const { link, logger } = this.#options;
    if (link.connection !== connection) link.reattach();
    else if (failed === MAX_FAILED_PINGS) {
      logger.warn("backend does not answer pings; its connection gets no more of them", {
        backend: connection.backend,
        reason: error.message,
      });
    }
  }
}
