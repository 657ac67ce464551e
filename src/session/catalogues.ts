import type { CapabilitySet } from "../domain/capabilities.ts";
import type { BackendName } from "../domain/ids.ts";
import { type Identity } from "../domain/identity.ts";
import type { ClientProfile } from "./backend-connection.ts";

/** How long a list that a fresh backend session was offered is offered to the next one without asking. */
const FRESH_MS = 60_000;

/** Client kinds remembered per backend; the least recently used is forgotten first. */
const MAX_KINDS_PER_BACKEND = 64;

interface Entry {
  readonly capabilities: CapabilitySet;
  readonly fetchedAtMs: number;
}

/**
 * What each backend was last known to offer, shared by all sessions.
 *
 * Kept per kind of client, because a backend may list other tools to a client with other capabilities. Equal
 * lists are one object whoever fetched them, so that sessions share schemas instead of owning them.
 */
export class Catalogues {
  readonly #now: () => number;
  readonly #byBackend = new Map<BackendName, Map<string, Entry>>();
  readonly #stale = new Set<BackendName>();
  readonly #lastByBackend = new Map<BackendName, CapabilitySet>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** What a fresh session of this kind of client may be offered without asking; undefined if unknown or old. */
  fresh(backend: BackendName, kind: string): CapabilitySet | undefined {
    if (this.#stale.has(backend)) return undefined;
    const entry = this.#byBackend.get(backend)?.get(kind);
    if (entry === undefined || this.#now() - entry.fetchedAtMs > FRESH_MS) return undefined;
    return entry.capabilities;
  }

  /** What the backend last offered to this kind of client, else to any client; however old. */
  lastKnown(backend: BackendName, kind: string): CapabilitySet | undefined {
    return (
      this.#byBackend.get(backend)?.get(kind)?.capabilities ?? this.#lastByBackend.get(backend)
    );
  }

  /**
   * Notes what a backend offered. Only what a session was offered at its start may be noted: a list that
   * changed later, say by a tool that logs in, belongs to that session alone.
   */
  remember(backend: BackendName, kind: string, fetched: CapabilitySet): CapabilitySet {
    const kinds = this.#byBackend.get(backend) ?? new Map<string, Entry>();
    this.#byBackend.set(backend, kinds);
    const capabilities = this.intern(backend, fetched);
    kinds.delete(kind);
    kinds.set(kind, { capabilities, fetchedAtMs: this.#now() });
    const [oldest] = kinds.keys();
    if (kinds.size > MAX_KINDS_PER_BACKEND && oldest !== undefined) kinds.delete(oldest);
    this.#lastByBackend.set(backend, capabilities);
    this.#stale.delete(backend);
    return capabilities;
  }

  /** The known set of equal content if there is one, else the set itself. */
  intern(backend: BackendName, fetched: CapabilitySet): CapabilitySet {
    const last = this.#lastByBackend.get(backend);
    if (last?.hash === fetched.hash) return last;
    for (const { capabilities } of this.#byBackend.get(backend)?.values() ?? []) {
      if (capabilities.hash === fetched.hash) return capabilities;
    }
    return fetched;
  }

  /** The backend said that its lists changed: the next session asks again. */
  invalidate(backend: BackendName): void {
    this.#stale.add(backend);
  }
}

/** Names the kind of client a list was made for: who it is and what it declared. */
export function clientKindOf(client: ClientProfile, identity: Identity): string {
  const who = identity.kind === "anonymous" ? [] : [identity.issuer, identity.subject];
  return JSON.stringify([client.info["name"] ?? "", client.capabilities, who]);
}
