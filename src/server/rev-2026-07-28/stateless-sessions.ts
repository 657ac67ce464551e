import { VmcpError } from "../../domain/errors.ts";
import { subjectOf, type Identity } from "../../domain/identity.ts";
import type { Logger } from "../../domain/logger.ts";
import type { ServerInfo } from "../../gateway/initialize.ts";
import { LATEST_SESSIONFUL } from "../../mcp/revisions.ts";
import type { EdgeSessions } from "../rev-2025-11-25/sessions.ts";
import { StatelessSession } from "./stateless-session.ts";

/**
 * What is told to sessionful backends of the clients of such a session: all that a round can carry, because each
 * request says for itself what its client can do.
 */
const ALL_ABILITIES = {
  elicitation: { form: {}, url: {} },
  sampling: { context: {}, tools: {} },
  roots: {},
} as const;

export interface StatelessSessionsOptions {
  readonly sessions: EdgeSessions;
  readonly serverInfo: ServerInfo;
  readonly logger: Logger;
}

interface Entry {
  readonly made: Promise<StatelessSession>;
  session?: StatelessSession;
}

/**
 * The sessions of clients that know of none: one for each identity and each name that it uses, made at the first
 * request and again at the first one after its end. Many first requests make one session.
 */
export class StatelessSessions implements Disposable {
  readonly #options: StatelessSessionsOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #closing: Disposable | undefined;

  constructor(options: StatelessSessionsOptions) {
    this.#options = options;
    // With the session goes its entry, so that there are no more of them than sessions.
    this.#closing = options.sessions.onSessionClosed?.((id) => this.#forget(id));
  }

  /** Rejects with what the session manager refuses. */
  async of(identity: Identity, name: string): Promise<StatelessSession> {
    const key = statelessKeyOf(identity, name);
    const entry = this.#entries.get(key);
    const found = entry?.session;
    if (found !== undefined && this.#isLive(found)) return found;
    // One that is being made is waited for; one that has ended is made again.
    return entry === undefined || found !== undefined ? this.#make(key, identity) : entry.made;
  }

  /** The session turned out to be at its end: the next request makes another. */
  leave({ key, session }: StatelessSession): void {
    if (this.#entries.get(key)?.session?.session === session) this.#entries.delete(key);
  }

  [Symbol.dispose](): void {
    this.#closing?.[Symbol.dispose]();
    this.#entries.clear();
  }

  #isLive({ session }: StatelessSession): boolean {
    return this.#options.sessions.getMultiSession(session.id) === session;
  }

  async #make(key: string, identity: Identity): Promise<StatelessSession> {
    const entry: Entry = { made: this.#open(key, identity) };
    this.#entries.set(key, entry);
    try {
      entry.session = await entry.made;
      return entry.session;
    } catch (error) {
      if (this.#entries.get(key) === entry) this.#entries.delete(key);
      throw error;
    }
  }

  async #open(key: string, identity: Identity): Promise<StatelessSession> {
    const { sessions, serverInfo, logger } = this.#options;
    const id = await sessions.generate(identity);
    if (id === "") {
      throw new VmcpError("store_unavailable", "No session can be stored at the moment", {
        retryAfterSeconds: 30,
      });
    }
    // Who is served by it may change with each request, so that no client's own name is told.
    const client = {
      revision: LATEST_SESSIONFUL,
      capabilities: ALL_ABILITIES,
      info: { ...serverInfo },
      isAskedInCallsOnly: true,
    };
    const { signal } = new AbortController();
    try {
      const asked = { identity, client, endsUnused: true, signal };
      const session = await sessions.createSession(id, asked);
      return new StatelessSession(session, { key, logger });
    } catch (error) {
      await Promise.allSettled([sessions.terminate(id)]);
      throw error;
    }
  }

  #forget(id: string): void {
    for (const [key, { session }] of this.#entries) {
      if (session?.session.id === id) this.#entries.delete(key);
    }
  }
}

/** Stands for one session of stateless clients. No two pairs share a key, whatever characters they are made of. */
export function statelessKeyOf(identity: Identity, name: string): string {
  const who =
    identity.kind === "anonymous"
      ? []
      : [identity.issuer, subjectOf(identity) ?? "", identity.boundTo ?? ""];
  return JSON.stringify([...who, name]);
}
