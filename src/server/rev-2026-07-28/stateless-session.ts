import type { Identity } from "../../domain/identity.ts";
import type { Logger } from "../../domain/logger.ts";
import { encodeNotification } from "../../mcp/json-rpc.ts";
import type { EdgeSession } from "../../session/edge-session.ts";
import { LOG_LEVELS } from "../../session/log-levels.ts";
import { Listeners } from "./listeners.ts";

export interface StatelessSessionOptions {
  /** Stands for the identity and the name; the same for the session that follows this one. */
  readonly key: string;
  readonly logger: Logger;
}

/** A session, and what the clients that share it have in common at the edge. */
export class StatelessSession {
  readonly session: EdgeSession;
  readonly key: string;
  readonly listeners: Listeners;
  #lastId = 0;
  #level = LOG_LEVELS.length;

  constructor(session: EdgeSession, { key, logger }: StatelessSessionOptions) {
    this.session = session;
    this.key = key;
    this.listeners = new Listeners({ session, nextId: () => this.nextId(), logger });
    const method = "notifications/initialized";
    // A client of this kind is ready from the start.
    session.notify({
      kind: "notification",
      method,
      params: undefined,
      bytes: encodeNotification(method),
    });
  }

  identify(identity: Identity): void {
    this.session.identify?.(identity);
  }

  /** For a request: clients that share the session may use the same ids. */
  nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  /** Backends are asked for the least important messages that any request wanted; each request gets its own share. */
  wantLogs(level: string | undefined): void {
    const rank = level === undefined ? -1 : LOG_LEVELS.indexOf(level);
    if (level === undefined || rank >= this.#level) return;
    this.#level = rank;
    this.session.setLogLevel(level);
  }
}
