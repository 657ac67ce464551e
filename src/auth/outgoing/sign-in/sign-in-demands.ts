import { generateRandomCodeVerifier } from "oauth4webapi";
import { VmcpError } from "../../../domain/errors.ts";
import type { Identity } from "../../../domain/identity.ts";
import { EgressError } from "../../egress/egress-error.ts";
import type { EgressFetch } from "../../egress/egress.ts";
import { credentialsError } from "../credentials-error.ts";
import type { CredentialsRefusal } from "../outgoing-credentials.ts";
import type { SignInOptions } from "../strategy-options.ts";
import { errorNameOf, type OAuthClient } from "../token-endpoint.ts";
import { challengeParameter } from "./challenge.ts";
import { discover, type SignInPlace } from "./discovery.ts";
import { register, type AuthorizationRequest, type SignInServer } from "./sign-in-server.ts";
import type { TokenVault } from "./token-vault.ts";

/** A sign-in that a user is sent to. */
export interface DemandedSignIn {
  readonly vaultKey: string;
  /** Without what the client proved itself with. */
  readonly identity: Identity;
  readonly at: SignInServer;
  readonly request: Omit<AuthorizationRequest, "state">;
}

export interface DemandParts {
  readonly backend: string;
  readonly url: string;
  readonly vault: TokenVault;
  readonly fetch: EgressFetch;
  readonly now: () => number;
  /** Where browsers come back to; undefined where nobody listens for them. */
  readonly redirectUri: () => string | undefined;
  /** Gives the ticket of a sign-in that begins. */
  readonly begin: (demanded: DemandedSignIn) => string;
  /** Whether the sign-in of that ticket can still be finished. */
  readonly isPending: (ticket: string) => boolean;
  /** The link to give to the user. */
  readonly linkTo: (ticket: string, redirectUri: string) => string;
}

/** That a user was sent to sign in. */
interface Demand {
  readonly ticket: string;
  readonly scopes: readonly string[];
  readonly error: VmcpError;
}

/** Beyond this many users who have not come back, the one that was sent longest ago gets another link. */
const MAX_ASKED = 1_000;

/** What a place says is asked for again after this long. */
const PLACE_LIFETIME_MS = 600_000;

/**
 * Sends the users of one backend to where they sign in: finds that place, registers the gateway there, and makes the
 * link. The same user gets the same link as long as it is good.
 */
export class SignInDemands implements Disposable {
  readonly #options: SignInOptions;
  readonly #parts: DemandParts;
  readonly #asked = new Map<string, Promise<Demand>>();
  #place: { readonly found: Promise<SignInPlace>; readonly sinceMs: number } | undefined;
  #client: { readonly key: string; readonly registered: Promise<OAuthClient> } | undefined;

  constructor(options: SignInOptions, parts: DemandParts) {
    this.#options = options;
    this.#parts = parts;
  }

  /** Rejects with the error that sends the user to sign in, once it is known where. */
  async demand(
    identity: Identity,
    key: string,
    refusal: CredentialsRefusal | undefined,
  ): Promise<never> {
    const asked = this.#asked.get(key);
    const known = asked && (await asked.catch(() => undefined));
    // A link that was followed to its end, or has expired, is of no more use.
    const isGood = known !== undefined && this.#parts.isPending(known.ticket);
    if (isGood && isEnough(known, refusal)) throw known.error;
    const isLate = asked !== undefined && this.#asked.get(key) !== asked;
    if (isLate) return this.demand(identity, key, refusal);
    const asking = this.#ask(identity, key, refusal);
    this.#asked.set(key, asking);
    const [oldest] = this.#asked.keys();
    if (this.#asked.size > MAX_ASKED && oldest !== undefined) this.#asked.delete(oldest);
    throw (await asking).error;
  }

  /** The user has come back, or need not any more. */
  forget(key: string): void {
    this.#asked.delete(key);
  }

  [Symbol.dispose](): void {
    this.#asked.clear();
  }

  async #ask(
    identity: Identity,
    vaultKey: string,
    refusal: CredentialsRefusal | undefined,
  ): Promise<Demand> {
    const { backend, redirectUri, begin, linkTo } = this.#parts;
    const address = redirectUri();
    if (address === undefined) {
      throw credentialsError(
        backend,
        "needs its user to sign in, for which the gateway must be served over HTTP",
      );
    }
    try {
      const { server, resource, scopes } = await this.#findPlace(refusal?.challenge);
      const client = this.#options.client ?? (await this.#register(server, address));
      const wanted = this.#scopesFor(refusal, scopes, server.scopes_supported, vaultKey);
      const ticket = begin({
        vaultKey,
        identity: withoutProof(identity),
        at: { server, client, redirectUri: address },
        request: { verifier: generateRandomCodeVerifier(), resource, scopes: wanted },
      });
      return {
        ticket,
        scopes: wanted,
        error: signInError(backend, linkTo(ticket, address), ticket),
      };
    } catch (thrown) {
      if (thrown instanceof VmcpError) throw thrown;
      const sentence =
        thrown instanceof EgressError
          ? "cannot be reached"
          : `does not register the gateway${named(errorNameOf(thrown))}; give it a clientId`;
      throw credentialsError(
        backend,
        `needs its user to sign in, but its authorization server ${sentence}`,
        { cause: thrown },
      );
    }
  }

  /** What the configuration says, else what the backend asks for now, else what it says it needs in all. */
  #scopesFor(
    refusal: CredentialsRefusal | undefined,
    published: readonly string[],
    supported: readonly string[] | undefined,
    vaultKey: string,
  ): readonly string[] {
    const asked = scopesIn(refusal);
    const configured = this.#options.scopes;
    const base = configured.length > 0 ? configured : (asked ?? published);
    const before = this.#parts.vault.get(vaultKey)?.scopes ?? [];
    // More than before is asked for beside what was had, so that nothing is lost by it.
    const step = refusal?.status === 403 ? [...before, ...(asked ?? [])] : [];
    const lasting = supported?.includes("offline_access") === true ? ["offline_access"] : [];
    return [...new Set([...base, ...step, ...lasting])];
  }

  async #findPlace(challenge: string | undefined): Promise<SignInPlace> {
    const { backend, url, fetch, now } = this.#parts;
    const issuer = this.#options.authorizationServer;
    if (this.#place === undefined || now() - this.#place.sinceMs > PLACE_LIFETIME_MS) {
      const found = discover({ backend, url, challenge, issuer, fetch });
      this.#place = { found, sinceMs: now() };
    }
    const { found } = this.#place;
    try {
      return await found;
    } catch (thrown) {
      if (this.#place?.found === found) this.#place = undefined;
      throw thrown;
    }
  }

  async #register(server: SignInPlace["server"], redirectUri: string): Promise<OAuthClient> {
    const key = JSON.stringify([server.issuer, redirectUri]);
    if (this.#client?.key !== key) {
      this.#client = { key, registered: register(server, redirectUri, this.#parts.fetch) };
    }
    const { registered } = this.#client;
    try {
      return await registered;
    } catch (thrown) {
      if (this.#client?.registered === registered) this.#client = undefined;
      throw thrown;
    }
  }
}

/** Whoever is forbidden something is sent for more than before, and not for the same again. */
function isEnough({ scopes }: Demand, refusal: CredentialsRefusal | undefined): boolean {
  if (refusal?.status !== 403) return true;
  return (scopesIn(refusal) ?? []).every((scope) => scopes.includes(scope));
}

function scopesIn(refusal: CredentialsRefusal | undefined): readonly string[] | undefined {
  return challengeParameter(refusal?.challenge, "scope")?.split(" ").filter(Boolean);
}

/** Tells a user where to sign in. A client that opens links for its user is told in terms of the protocol. */
function signInError(backend: string, url: string, elicitationId: string): VmcpError {
  const message = `Backend "${backend}" needs you to sign in at ${url}`;
  return new VmcpError("sign_in_required", message, {
    backend,
    executionState: "not_executed",
    data: { elicitations: [{ mode: "url", message, url, elicitationId }] },
  });
}

function named(error: string | undefined): string {
  return error === undefined ? "" : ` (${error})`;
}

function withoutProof(identity: Identity): Identity {
  if (identity.kind === "anonymous") return identity;
  const { kind, issuer, subject } = identity;
  return { kind, issuer, subject };
}
