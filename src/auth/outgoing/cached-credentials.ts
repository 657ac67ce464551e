import { VmcpError } from "../../domain/errors.ts";
import type { Identity } from "../../domain/identity.ts";
import { CredentialCache, type Expiring } from "./credential-cache.ts";
import type {
  CredentialsRefusal,
  HeaderList,
  OutgoingCredentials,
  RequestToProve,
} from "./outgoing-credentials.ts";

/** Where the credentials of one backend come from. */
export interface CredentialSource<T extends Expiring> {
  readonly isPerUser: boolean;
  /** Names those who have the same credentials. Throws `backend_auth` where there are none for this identity. */
  keyOf(identity: Identity): string;
  /** Asks for credentials. Rejects with `backend_auth`. */
  fetch(identity: Identity): Promise<T>;
  /** What proves a request by them. */
  headersOf(credentials: T, request: RequestToProve): HeaderList;
  /** Whether a backend that refuses with this status may accept other credentials. */
  isAboutCredentials(status: number): boolean;
}

/** That credentials were asked for, however it ended. */
export interface CredentialsFetched {
  /** Absent where they are the gateway's own. */
  readonly identity?: Identity;
  readonly durationMs: number;
  readonly error?: VmcpError;
}

export interface CachedCredentialsOptions {
  /** Wall-clock milliseconds. */
  readonly now: () => number;
  readonly onFetched: (fetched: CredentialsFetched) => void;
}

/** Credentials that are asked for once and used until they end or are refused. */
export class CachedCredentials<T extends Expiring> implements OutgoingCredentials, Disposable {
  readonly #source: CredentialSource<T>;
  readonly #options: CachedCredentialsOptions;
  readonly #cache: CredentialCache<T>;
  /** Which credentials gave these headers, so that a refusal of old ones does not harm their successors. */
  readonly #origins = new WeakMap<HeaderList, T>();

  constructor(source: CredentialSource<T>, options: CachedCredentialsOptions) {
    this.#source = source;
    this.#options = options;
    this.#cache = new CredentialCache({ now: options.now });
  }

  get isPerUser(): boolean {
    return this.#source.isPerUser;
  }

  headersFor(identity: Identity, request: RequestToProve): HeaderList | Promise<HeaderList> {
    const key = this.#source.keyOf(identity);
    const found = this.#cache.get(key, async () => this.#fetch(identity));
    return found instanceof Promise
      ? this.#headersWhenFound(found, request)
      : this.#headersOf(found, request);
  }

  refused(identity: Identity, refusal: CredentialsRefusal): boolean {
    const origin = this.#origins.get(refusal.headers);
    if (origin === undefined || !this.#source.isAboutCredentials(refusal.status)) return false;
    return this.#cache.refuse(this.#source.keyOf(identity), origin);
  }

  [Symbol.dispose](): void {
    this.#cache[Symbol.dispose]();
  }

  async #headersWhenFound(found: Promise<T>, request: RequestToProve): Promise<HeaderList> {
    return this.#headersOf(await found, request);
  }

  #headersOf(credentials: T, request: RequestToProve): HeaderList {
    const headers = this.#source.headersOf(credentials, request);
    this.#origins.set(headers, credentials);
    return headers;
  }

  async #fetch(identity: Identity): Promise<T> {
    const startedAtMs = performance.now();
    const party = this.isPerUser ? { identity } : {};
    try {
      const credentials = await this.#source.fetch(identity);
      this.#options.onFetched({ ...party, durationMs: performance.now() - startedAtMs });
      return credentials;
    } catch (thrown) {
      const error = VmcpError.from(thrown);
      this.#options.onFetched({ ...party, durationMs: performance.now() - startedAtMs, error });
      throw error;
    }
  }
}
