import { createCredentials, type OwnedCredentials } from "../auth/outgoing/create-credentials.ts";
import { EndpointBreakers } from "../auth/outgoing/endpoint-breakers.ts";
import { SignIns } from "../auth/outgoing/sign-in/sign-ins.ts";
import type { BackendConfig } from "../config/vmcp-config.ts";
import type { Identity } from "../domain/identity.ts";
import type { Logger } from "../domain/logger.ts";
import type { CredentialsRefresh } from "./audited-credentials.ts";

export interface OutgoingAuthOptions {
  readonly logger: Logger;
  /** Secrets that what users' sign-ins gave is encrypted with; none: random ones. */
  readonly keys: readonly string[];
  /** A user has signed in somewhere. */
  readonly onSignedIn: (identity: Identity) => void;
  /** Told each time that credentials were asked for, however it ended. */
  readonly onRefresh: (refresh: CredentialsRefresh) => void;
}

/** What the outgoing authentication of all backends shares, across configurations. */
export class OutgoingAuth implements Disposable {
  readonly signIns: SignIns;
  readonly #breakers = new EndpointBreakers(() => performance.now());
  readonly #options: OutgoingAuthOptions;
  #origin: string | undefined;

  constructor(options: OutgoingAuthOptions) {
    this.#options = options;
    this.signIns = new SignIns({
      keys: options.keys,
      origin: () => this.#origin,
      onSignedIn: options.onSignedIn,
    });
  }

  /** Tells where the endpoint is: beside it browsers come back from signing in. */
  listens(url: string): void {
    this.#origin = new URL(url).origin;
  }

  [Symbol.dispose](): void {
    this.signIns[Symbol.dispose]();
  }

  /** What proves requests to a backend; undefined where nothing does but fixed headers. The caller closes it. */
  credentialsFor(
    config: BackendConfig,
    caBundle: string | undefined,
  ): OwnedCredentials | undefined {
    if (config.transport === "stdio" || config.outgoingAuth === undefined) return undefined;
    const { name: backend, url, outgoingAuth } = config;
    const { type: strategy } = outgoingAuth;
    const { logger, onRefresh } = this.#options;
    return createCredentials(outgoingAuth, {
      backend,
      url,
      caBundle,
      breakers: this.#breakers,
      signIns: this.signIns,
      now: () => Date.now(),
      onFetched: ({ error, ...fetched }) => {
        onRefresh({ backend, strategy, ...fetched, ...(error !== undefined && { error }) });
        if (error === undefined) return;
        logger.warn("no credentials for a backend", { backend, strategy, reason: error.message });
      },
    });
  }
}
