import { isJsonObject } from "../../../domain/json.ts";
import { Sealer } from "../../../lib/sealer.ts";
import type { OAuthClient } from "../token-endpoint.ts";

/** What a user's sign-in gave, and how it is renewed. */
export interface StoredTokens {
  readonly accessToken: string;
  readonly refreshToken?: string | undefined;
  readonly idToken?: string | undefined;
  /** In milliseconds of the epoch. */
  readonly expiresAtMs: number;
  readonly tokenUrl: string;
  readonly client: OAuthClient;
  readonly resource: string;
  readonly scopes: readonly string[];
  /** The backend refused the access token although it had not ended. */
  readonly isRefused?: boolean;
  /** When they came in place of others that were refused. */
  readonly replacedAtMs?: number | undefined;
}

/** Beyond this many sign-ins the one that was stored longest ago is forgotten. */
const MAX_STORED = 10_000;

/**
 * The tokens that users' sign-ins gave. They are kept encrypted, each so that it opens for its own user and backend
 * only; they live as long as the process.
 */
export class TokenVault {
  readonly #sealer: Sealer;
  readonly #sealed = new Map<string, string>();

  /** `secrets` as for `Sealer`. */
  constructor(secrets: readonly string[]) {
    this.#sealer = new Sealer(secrets);
  }

  get size(): number {
    return this.#sealed.size;
  }

  has(key: string): boolean {
    return this.#sealed.has(key);
  }

  get(key: string): StoredTokens | undefined {
    const sealed = this.#sealed.get(key);
    const text = sealed === undefined ? undefined : this.#sealer.open(sealed, key);
    const tokens: unknown = text === undefined ? undefined : JSON.parse(text);
    // Nothing opens but what `put` has sealed.
    return isJsonObject(tokens) ? (tokens as unknown as StoredTokens) : undefined;
  }

  put(key: string, tokens: StoredTokens): void {
    this.#sealed.delete(key);
    this.#sealed.set(key, this.#sealer.seal(JSON.stringify(tokens), key));
    const [oldest] = this.#sealed.keys();
    if (this.#sealed.size > MAX_STORED && oldest !== undefined) this.#sealed.delete(oldest);
  }

  delete(key: string): void {
    this.#sealed.delete(key);
  }
}
