import type { BackendGreeting, CapabilitySet } from "../domain/capabilities.ts";
import type { BackendName } from "../domain/ids.ts";
import { type Identity } from "../domain/identity.ts";
import type { ClientProfile } from "./backend-connection.ts";

/** How long a list that a fresh backend session was offered is offered to the next one without asking. */
const FRESH_MS = 60_000;

/** The shortest time that a backend can ask for: sessions that start together share what one of them was offered. */
const MIN_FRESH_MS = 10_000;

/** Client kinds remembered per backend; the least recently used is forgotten first. */
const MAX_KINDS_PER_BACKEND = 64;

interface Entry {
  readonly capabilities: CapabilitySet;
  /** How it introduced itself; undefined where nobody said so. */
  readonly greeting: BackendGreeting | undefined;
  readonly fetchedAtMs: number;
  /** How often the backend had said, before, that its lists changed. */
  readonly change: number;
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
  /** How often each backend said that its lists changed: what any kind was offered before is stale. */
  readonly #changes = new Map<BackendName, number>();
  readonly #lastByBackend = new Map<BackendName, CapabilitySet>();
  /** Backends that know their users: what one is offered is for no other to see. */
  readonly #perUser = new Set<BackendName>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** What a fresh session of this kind of client may be offered without asking; undefined if unknown or old. */
  fresh(backend: BackendName, kind: string): CapabilitySet | undefined {
    const entry = this.#byBackend.get(backend)?.get(kind);
    if (entry === undefined || entry.change !== this.#changeOf(backend)) return undefined;
    const isOld = this.#now() - entry.fetchedAtMs > freshMsOf(entry.capabilities);
    return isOld ? undefined : entry.capabilities;
  }

  /** How the backend introduced itself to this kind of client, however long ago, unless its lists changed since. */
  greetingOf(backend: BackendName, kind: string): BackendGreeting | undefined {
    const entry = this.#byBackend.get(backend)?.get(kind);
    return entry?.change === this.#changeOf(backend) ? entry.greeting : undefined;
  }

  /** Says whether the backend knows its users, so that lists are only ever shown to the user they were made for. */
  setPerUser(backend: BackendName, isPerUser: boolean): void {
    if (isPerUser) this.#perUser.add(backend);
    else this.#perUser.delete(backend);
  }

  /**
   * What the backend last offered to this kind of client, else to any client unless it knows its users; however old.
   */
  lastKnown(backend: BackendName, kind: string): CapabilitySet | undefined {
    const own = this.#byBackend.get(backend)?.get(kind)?.capabilities;
    return own ?? (this.#perUser.has(backend) ? undefined : this.#lastByBackend.get(backend));
  }

  /** What the backend last offered to anybody: for those who run the gateway, and not for its clients. */
  lastOfAny(backend: BackendName): CapabilitySet | undefined {
    return this.#lastByBackend.get(backend);
  }

  /**
   * Notes what a backend offered. Only what a session was offered at its start may be noted: a list that
   * changed later, say by a tool that logs in, belongs to that session alone.
   */
  remember(
    backend: BackendName,
    kind: string,
    fetched: CapabilitySet,
    greeting?: BackendGreeting,
  ): CapabilitySet {
    const kinds = this.#byBackend.get(backend) ?? new Map<string, Entry>();
    const known = kinds.get(kind);
    if (known !== undefined && this.#isTold(backend, known, fetched, greeting)) {
      if (kinds.size > 1) {
        kinds.delete(kind);
        kinds.set(kind, known);
      }
      return fetched;
    }
    this.#byBackend.set(backend, kinds);
    const capabilities = this.intern(backend, fetched);
    kinds.delete(kind);
    const change = this.#changeOf(backend);
    kinds.set(kind, { capabilities, greeting, fetchedAtMs: this.#now(), change });
    const [oldest] = kinds.keys();
    if (kinds.size > MAX_KINDS_PER_BACKEND && oldest !== undefined) kinds.delete(oldest);
    this.#lastByBackend.set(backend, capabilities);
    return capabilities;
  }

  /** The known set of equal content if there is one, else the set itself. */
  intern(backend: BackendName, fetched: CapabilitySet): CapabilitySet {
    const last = this.#lastByBackend.get(backend);
    if (last !== undefined && isSame(last, fetched)) return last;
    for (const { capabilities } of this.#byBackend.get(backend)?.values() ?? []) {
      if (isSame(capabilities, fetched)) return capabilities;
    }
    return fetched;
  }

  /** The backend of that name is gone, or another one has the name: nothing is known of it. */
  forget(backend: BackendName): void {
    this.#byBackend.delete(backend);
    this.#lastByBackend.delete(backend);
    this.#changes.delete(backend);
  }

  /** The backend said that its lists changed: the next session of each kind of client asks again. */
  invalidate(backend: BackendName): void {
    this.#changes.set(backend, this.#changeOf(backend) + 1);
  }

  /** Whether this is what was told to the session instead of asking: it is as old as it was. */
  #isTold(
    backend: BackendName,
    { capabilities, greeting, change }: Entry,
    offered: CapabilitySet,
    given: BackendGreeting | undefined,
  ): boolean {
    const isLast = this.#lastByBackend.get(backend) === capabilities;
    return (
      capabilities === offered && greeting === given && isLast && change === this.#changeOf(backend)
    );
  }

  #changeOf(backend: BackendName): number {
    return this.#changes.get(backend) ?? 0;
  }
}

/** For how long lists count as current after they were fetched, as the backend wants it where it says so. */
export function freshMsOf({ ttlMs }: CapabilitySet): number {
  return ttlMs === undefined ? FRESH_MS : Math.max(ttlMs, MIN_FRESH_MS);
}

function isSame(one: CapabilitySet, other: CapabilitySet): boolean {
  return (
    one.hash === other.hash && one.ttlMs === other.ttlMs && one.cacheScope === other.cacheScope
  );
}

/** Names the kind of client a list was made for: who it is and what it declared. */
export function clientKindOf(client: ClientProfile, identity: Identity): string {
  const who = identity.kind === "anonymous" ? [] : [identity.issuer, identity.subject];
  return JSON.stringify([client.info["name"] ?? "", client.capabilities, who]);
}
