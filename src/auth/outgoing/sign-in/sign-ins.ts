import { VmcpError } from "../../../domain/errors.ts";
import type { Identity } from "../../../domain/identity.ts";
import { Egress } from "../../egress/egress.ts";
import type { CredentialsParts, OwnedCredentials } from "../create-credentials.ts";
import { credentialsError } from "../credentials-error.ts";
import type { SignInOptions } from "../strategy-options.ts";
import type { SubjectTokenType } from "../subject-tokens.ts";
import { PendingSignIns } from "./pending-sign-ins.ts";
import { authorizationUrl } from "./sign-in-server.ts";
import { SignIn, type SignInPurpose } from "./sign-in.ts";
import { TokenVault } from "./token-vault.ts";

export interface SignInsOptions {
  /** Secrets that tokens are encrypted with; none: random ones. */
  readonly keys: readonly string[];
  /** Where browsers reach the gateway: scheme, host and port; undefined where they do not. */
  readonly origin: () => string | undefined;
  /** A user has signed in somewhere. */
  readonly onSignedIn: (identity: Identity) => void;
}

/** What a browser is answered that opens a link: where to go on, and what to keep until it comes back. */
export interface BegunSignIn {
  readonly url: string;
  readonly ticket: string;
  readonly browserKey: string;
  /** Browsers come back over https, so that they need not show it to anything else. */
  readonly isSecure: boolean;
}

export const CALLBACK_PATH = "/oauth/callback";
export const START_PATH = "/oauth/start";

/** The sign-ins of all users at all backends, across configurations. Tokens outlive neither the process nor its memory. */
export class SignIns implements Disposable {
  readonly #options: SignInsOptions;
  readonly #vault: TokenVault;
  readonly #pending = new PendingSignIns<SignInPurpose>();
  /** The last one counts; one that does not come into force in the end leaves the one before in its place. */
  readonly #byBackend = new Map<string, readonly SignIn[]>();

  constructor(options: SignInsOptions) {
    this.#options = options;
    this.#vault = new TokenVault(options.keys);
  }

  /** How many users are signed in, over all backends, and how many are about to. */
  get counts(): { readonly signedIn: number; readonly pending: number } {
    return { signedIn: this.#vault.size, pending: this.#pending.size };
  }

  /** Credentials that users get by signing in to the backend. The caller closes them. */
  open(options: SignInOptions, parts: CredentialsParts): OwnedCredentials {
    const { backend, url, caBundle } = parts;
    // A backend may lead to what is as exposed, or as far inside, as it is itself, and to nothing else.
    const { protocol } = new URL(url);
    const egress = new Egress({
      allowHttp: protocol === "http:",
      allowPrivateAddresses: options.mayLeadInside,
      caBundle,
    });
    const signIn = new SignIn(options, {
      ...parts,
      vault: this.#vault,
      fetch: egress.fetch,
      redirectUri: () => options.redirectUri ?? this.#callback(),
      begin: (purpose) => this.#pending.add(purpose).ticket,
      isPending: (ticket) => this.#pending.withTicket(ticket) !== undefined,
      linkTo: (ticket, redirectUri) => new URL(`${START_NAME}?ticket=${ticket}`, redirectUri).href,
    });
    this.#byBackend.set(backend, [...this.#openAt(backend), signIn]);
    return {
      isPerUser: true,
      needsSignIn: true,
      headersFor: (identity, request) => signIn.headersFor(identity, request),
      refused: (identity, refusal) => signIn.refused(identity, refusal),
      [Symbol.asyncDispose]: async () => {
        this.#forget(backend, signIn);
        signIn[Symbol.dispose]();
        await egress[Symbol.asyncDispose]();
      },
    };
  }

  /** Credentials that users get by signing in to another backend. */
  inject(provider: string, backend: string): OwnedCredentials {
    const bearer = async (identity: Identity): Promise<readonly string[]> => {
      const token = await this.subjectToken(provider, identity, "access_token", backend);
      return ["authorization", `Bearer ${token}`];
    };
    return {
      isPerUser: true,
      needsSignIn: true,
      headersFor: async (identity) => bearer(identity),
      // Whose token it is has ways to renew it; here nothing better is to be had.
      refused: () => false,
      async [Symbol.asyncDispose]() {},
    };
  }

  /** The token that a user's sign-in to `provider` gave. Rejects with what sends the user there. */
  async subjectToken(
    provider: string,
    identity: Identity,
    type: SubjectTokenType,
    backend: string,
  ): Promise<string> {
    const signIn = this.#openAt(provider).at(-1);
    if (signIn !== undefined) return signIn.tokenOf(identity, type);
    throw credentialsError(backend, `has no sign-in at "${provider.slice(0, 48)}" to go by`);
  }

  /** Where the browser that opened the link goes to sign in; undefined for a link that is not one, or no longer. */
  async begin(ticket: string): Promise<BegunSignIn | undefined> {
    const pending = this.#pending.withTicket(ticket);
    if (pending === undefined) return undefined;
    const { at, request } = pending.purpose;
    const url = await authorizationUrl(at, { ...request, state: pending.state });
    const isSecure = at.redirectUri.startsWith("https:");
    return { url, ticket, browserKey: pending.browserKey, isSecure };
  }

  /**
   * Takes what the browser brought back from signing in, with what it kept meanwhile. Resolves with the backend that
   * its user is signed in to now; rejects with `invalid_params`, in words for that user.
   */
  async finish(answer: URLSearchParams, browserKeys: readonly string[]): Promise<string> {
    const pending = this.#pending.finish(answer.get("state") ?? "", browserKeys);
    if (pending === undefined) throw new VmcpError("invalid_params", NOT_BEGUN);
    const { purpose, state } = pending;
    const { backend } = purpose.signIn;
    try {
      await purpose.signIn.finish(purpose, state, answer);
    } catch (thrown) {
      throw new VmcpError("invalid_params", NOT_FINISHED, { cause: thrown });
    }
    this.#options.onSignedIn(purpose.identity);
    return backend;
  }

  [Symbol.dispose](): void {
    this.#pending[Symbol.dispose]();
  }

  #openAt(backend: string): readonly SignIn[] {
    return this.#byBackend.get(backend) ?? [];
  }

  #forget(backend: string, signIn: SignIn): void {
    const others = this.#openAt(backend).filter((other) => other !== signIn);
    if (others.length === 0) this.#byBackend.delete(backend);
    else this.#byBackend.set(backend, others);
  }

  #callback(): string | undefined {
    const origin = this.#options.origin();
    return origin === undefined ? undefined : `${origin}${CALLBACK_PATH}`;
  }
}

/** Beside the place that browsers come back to, wherever a proxy may have put that. */
const START_NAME = "start";

const NOT_BEGUN =
  "This sign-in was not begun in this browser, or is over already. Ask again for what needed it.";
const NOT_FINISHED = "Signing in did not work. Ask again for what needed it, to get another link.";
