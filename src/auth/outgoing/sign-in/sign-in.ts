import { VmcpError } from "../../../domain/errors.ts";
import type { Identity } from "../../../domain/identity.ts";
import type { CredentialsFetched } from "../cached-credentials.ts";
import { CredentialCache, type Expiring } from "../credential-cache.ts";
import { credentialsError } from "../credentials-error.ts";
import type { EndpointBreakers } from "../endpoint-breakers.ts";
import type { CredentialsRefusal, HeaderList, RequestToProve } from "../outgoing-credentials.ts";
import type { SignInOptions } from "../strategy-options.ts";
import type { SubjectTokenType } from "../subject-tokens.ts";
import { TokenEndpoint, toRefusal } from "../token-endpoint.ts";
import { challengeParameter } from "./challenge.ts";
import { type DemandedSignIn, type DemandParts, SignInDemands } from "./sign-in-demands.ts";
import { redeem } from "./sign-in-server.ts";
import type { StoredTokens } from "./token-vault.ts";

/** What a sign-in that is under way is for. */
export interface SignInPurpose extends DemandedSignIn {
  readonly signIn: SignIn;
}

export interface SignInParts extends Omit<DemandParts, "begin"> {
  readonly breakers: EndpointBreakers;
  readonly onFetched: (fetched: CredentialsFetched) => void;
  /** Gives the ticket of a sign-in that begins. */
  readonly begin: (purpose: SignInPurpose) => string;
}

interface Usable extends Expiring {
  readonly tokens: StoredTokens;
  readonly headers: HeaderList;
}

/** Renewed when no more than this is left; in step with when the cache asks. */
const RENEW_AHEAD_MS = 60_000;
const UNSAID_LIFETIME_SECONDS = 300;

/** Tokens that are refused this soon after they replaced refused ones end the sign-in. */
const REPLACEMENT_MS = 30_000;

const NO_HEADERS: HeaderList = [];

/**
 * Users sign in to a backend themselves, each for themselves: authorization code with PKCE. Whoever has not is sent
 * there by the error of the request that the backend refuses; lists that it gives to everyone need no sign-in.
 */
export class SignIn implements Disposable {
  readonly #parts: SignInParts;
  readonly #cache: CredentialCache<Usable>;
  readonly #demands: SignInDemands;

  constructor(options: SignInOptions, parts: SignInParts) {
    this.#parts = parts;
    this.#cache = new CredentialCache({ now: parts.now });
    this.#demands = new SignInDemands(options, {
      ...parts,
      begin: (request) => parts.begin({ ...request, signIn: this }),
    });
  }

  get backend(): string {
    return this.#parts.backend;
  }

  headersFor(identity: Identity, { refusal }: RequestToProve): HeaderList | Promise<HeaderList> {
    const key = this.#vaultKey(identity);
    const mustSignIn = refusal !== undefined && (refusal.status === 403 || !this.#has(key));
    if (mustSignIn) return this.#demands.demand(identity, key, refusal);
    if (!this.#has(key)) return NO_HEADERS;
    const usable = this.#cache.get(key, async () => this.#load(identity, key));
    return usable instanceof Promise ? headersOf(usable) : usable.headers;
  }

  refused(identity: Identity, { status, challenge, headers }: CredentialsRefusal): boolean {
    if (status === 403) return challengeParameter(challenge, "error") === "insufficient_scope";
    const key = this.#vaultKey(identity);
    const tokens = this.#parts.vault.get(key);
    // Others have come already, or are on their way.
    if (tokens === undefined || headers[1] !== bearerOf(tokens) || tokens.isRefused) return true;
    const { now, vault } = this.#parts;
    const isReplacement = now() - (tokens.replacedAtMs ?? 0) < REPLACEMENT_MS;
    this.#forget(key);
    if (!isReplacement) vault.put(key, { ...tokens, isRefused: true, expiresAtMs: 0 });
    return true;
  }

  /** A user's token of this backend, for another place that takes it. Rejects where the user has not signed in. */
  async tokenOf(identity: Identity, type: SubjectTokenType): Promise<string> {
    const key = this.#vaultKey(identity);
    if (!this.#has(key)) return this.#demands.demand(identity, key, undefined);
    const { tokens } = await this.#cache.get(key, async () => this.#load(identity, key));
    const token = type === "id_token" ? tokens.idToken : tokens.accessToken;
    if (token !== undefined) return token;
    throw credentialsError(this.#parts.backend, "gives its users no identity token");
  }

  /** Takes what a browser brought back; the user is signed in then. Rejects where that did not work. */
  async finish(
    { vaultKey, identity, at, request }: SignInPurpose,
    state: string,
    answer: URLSearchParams,
  ): Promise<void> {
    const { vault, fetch, now } = this.#parts;
    this.#demands.forget(vaultKey);
    const response = await this.#reporting(identity, async () =>
      redeem(at, { ...request, state }, answer, fetch),
    );
    const seconds = response.expires_in ?? UNSAID_LIFETIME_SECONDS;
    this.#cache.forget(vaultKey);
    vault.put(vaultKey, {
      accessToken: response.access_token,
      refreshToken: response.refresh_token,
      idToken: response.id_token,
      expiresAtMs: now() + seconds * 1_000,
      tokenUrl: at.server.token_endpoint ?? "",
      client: at.client,
      resource: request.resource,
      scopes: request.scopes,
    });
  }

  [Symbol.dispose](): void {
    this.#cache[Symbol.dispose]();
    this.#demands[Symbol.dispose]();
  }

  #has(key: string): boolean {
    return this.#parts.vault.has(key);
  }

  #forget(key: string): void {
    this.#parts.vault.delete(key);
    this.#cache.forget(key);
  }

  /** Another backend in the same place knows nothing of these users, nor does this one somewhere else. */
  #vaultKey(identity: Identity): string {
    const { backend, url } = this.#parts;
    const who = identity.kind === "anonymous" ? [] : [identity.issuer, identity.subject];
    return JSON.stringify([backend, url, ...who]);
  }

  async #load(identity: Identity, key: string): Promise<Usable> {
    const { vault, now } = this.#parts;
    const tokens = vault.get(key);
    if (tokens === undefined) return this.#demands.demand(identity, key, undefined);
    const leftMs = tokens.expiresAtMs - now();
    const isRenewable = tokens.refreshToken !== undefined;
    if (leftMs > RENEW_AHEAD_MS || (leftMs > 0 && !isRenewable)) return toUsable(tokens);
    if (isRenewable) return toUsable(await this.#renew(identity, key, tokens));
    this.#forget(key);
    return this.#demands.demand(identity, key, undefined);
  }

  async #renew(identity: Identity, key: string, tokens: StoredTokens): Promise<StoredTokens> {
    const { backend, fetch, breakers, vault, now } = this.#parts;
    const { tokenUrl: url, client, refreshToken, resource } = tokens;
    const endpoint = new TokenEndpoint({ backend, url, client, fetch, breakers });
    try {
      const response = await this.#reporting(identity, async () =>
        endpoint.request({
          grantType: "refresh_token",
          parameters: { refresh_token: refreshToken, resource },
        }),
      );
      const newer = this.#newerThan(tokens, key);
      if (newer !== undefined) return newer;
      const seconds = response.expires_in ?? UNSAID_LIFETIME_SECONDS;
      const renewed = {
        ...tokens,
        accessToken: response.access_token,
        refreshToken: response.refresh_token ?? refreshToken,
        expiresAtMs: now() + seconds * 1_000,
        isRefused: false,
        replacedAtMs: tokens.isRefused === true ? now() : undefined,
      };
      vault.put(key, renewed);
      return renewed;
    } catch (thrown) {
      // Anything else may work the next time.
      if (!(thrown instanceof VmcpError) || thrown.reason !== "invalid_grant") throw thrown;
      const newer = this.#newerThan(tokens, key);
      if (newer !== undefined) return newer;
      this.#forget(key);
      return this.#demands.demand(identity, key, undefined);
    }
  }

  /** What the user has signed in for since, which counts more than anything made of these. */
  #newerThan({ refreshToken }: StoredTokens, key: string): StoredTokens | undefined {
    const stored = this.#parts.vault.get(key);
    return stored?.refreshToken === refreshToken ? undefined : stored;
  }

  async #reporting<T>(identity: Identity, ask: () => Promise<T>): Promise<T> {
    const { onFetched, backend } = this.#parts;
    const startedAtMs = performance.now();
    try {
      const answer = await ask();
      onFetched({ identity, durationMs: performance.now() - startedAtMs });
      return answer;
    } catch (thrown) {
      const error = thrown instanceof VmcpError ? thrown : toRefusal(backend, thrown);
      onFetched({ identity, durationMs: performance.now() - startedAtMs, error });
      throw error;
    }
  }
}

async function headersOf(usable: Promise<Usable>): Promise<HeaderList> {
  return (await usable).headers;
}

function toUsable(tokens: StoredTokens): Usable {
  const headers = ["authorization", bearerOf(tokens)];
  return { tokens, headers, expiresAtMs: tokens.expiresAtMs };
}

function bearerOf({ accessToken }: StoredTokens): string {
  return `Bearer ${accessToken}`;
}
