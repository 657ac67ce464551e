import type { Identity } from "../domain/identity.ts";
import { isSameJson } from "../lib/same-json.ts";
import type { ClientProfile } from "./backend-connection.ts";
import { clientKindOf } from "./catalogues.ts";

/** A client as it described itself, and the name of its kind. */
export interface KnownClient {
  readonly client: ClientProfile;
  /** See `clientKindOf`. */
  readonly clientKind: string;
}

/** Profiles that are kept for the next session of the same client; the least recently used is forgotten first. */
const MAX_PROFILES = 64;

/** Longer ones are not kept, so that all of them together stay small. */
const MAX_PROFILE_LENGTH = 4_096;

/**
 * The profiles of the clients that came last. Sessions of clients that describe themselves alike share one: parsed
 * anew for each session, it would be a good part of what an idle session weighs.
 */
export class ClientProfiles {
  readonly #known = new Map<string, KnownClient>();
  /** The last one in the map: the next session is often of the same client. */
  #latest: LatestClient | undefined;

  /** The same client, as an object that others may have too. */
  of(client: ClientProfile, identity: Identity): KnownClient {
    if (this.#latest?.isOf(client, identity)) return this.#latest.known;
    const who = identity.kind === "anonymous" ? [] : [identity.issuer, identity.subject];
    const key = JSON.stringify([client, who]);
    const known = this.#known.get(key) ?? { client, clientKind: clientKindOf(client, identity) };
    if (key.length > MAX_PROFILE_LENGTH) return known;
    this.#known.delete(key);
    this.#known.set(key, known);
    this.#latest = new LatestClient(known, identity);
    const [oldest] = this.#known.keys();
    if (this.#known.size > MAX_PROFILES && oldest !== undefined) this.#known.delete(oldest);
    return known;
  }
}

class LatestClient {
  readonly known: KnownClient;
  readonly #issuer: string | undefined;
  readonly #subject: string | undefined;

  constructor(known: KnownClient, identity: Identity) {
    const verified = identity.kind === "verified" ? identity : undefined;
    this.known = known;
    // Not the identity itself, which holds the proof.
    this.#issuer = verified?.issuer;
    this.#subject = verified?.subject;
  }

  /** Compares member by member: text to compare with would have to be made for each session. */
  isOf(client: ClientProfile, identity: Identity): boolean {
    const verified = identity.kind === "verified" ? identity : undefined;
    return (
      verified?.issuer === this.#issuer &&
      verified?.subject === this.#subject &&
      isSameJson(client, this.known.client)
    );
  }
}
