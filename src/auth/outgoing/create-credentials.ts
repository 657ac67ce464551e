import { Egress } from "../egress/egress.ts";
import { awsSts } from "./aws-sts.ts";
import {
  CachedCredentials,
  type CredentialsFetched,
  type CredentialSource,
} from "./cached-credentials.ts";
import type { Expiring } from "./credential-cache.ts";
import type { CredentialEndpoint } from "./endpoint-attempts.ts";
import type { EndpointBreakers } from "./endpoint-breakers.ts";
import { clientCredentials, crossAppAccess, tokenExchange } from "./grants.ts";
import type { OutgoingCredentials } from "./outgoing-credentials.ts";
import type { SignIns } from "./sign-in/sign-ins.ts";
import type { StrategyOptions } from "./strategy-options.ts";
import { clientTokens, type SubjectTokens } from "./subject-tokens.ts";
import { TokenEndpoint, type OAuthClient } from "./token-endpoint.ts";

export interface CredentialsParts {
  /** The backend's name, for messages. */
  readonly backend: string;
  /** Where the backend is. */
  readonly url: string;
  /** PEM, trusted besides the built-in authorities. */
  readonly caBundle?: string | undefined;
  /** Shared by all backends. */
  readonly breakers: EndpointBreakers;
  /** Shared by all backends. */
  readonly signIns: SignIns;
  readonly onFetched: (fetched: CredentialsFetched) => void;
  /** Wall-clock milliseconds. */
  readonly now: () => number;
}

/** Credentials with what they hold open, for whoever made them to close. */
export interface OwnedCredentials extends OutgoingCredentials, AsyncDisposable {
  /** A user without any gets them by signing in, and by nothing else. */
  readonly needsSignIn: boolean;
}

/** Makes what proves requests to one backend. Opens nothing yet. */
export function createCredentials(
  options: StrategyOptions,
  parts: CredentialsParts,
): OwnedCredentials {
  const { backend, signIns } = parts;
  if (options.type === "oauth") return signIns.open(options, parts);
  if (options.type === "upstream_inject") return signIns.inject(options.providerName, backend);
  // The addresses are the operator's own, and the configuration refuses clear text over public networks.
  const { caBundle } = parts;
  const egress = new Egress({ allowHttp: true, allowPrivateAddresses: true, caBundle });
  const at = (url: string, client: OAuthClient | undefined): TokenEndpoint =>
    new TokenEndpoint({ ...endpointAt(url, egress, parts), client });
  if (options.type === "client_credentials") {
    const endpoint = at(options.tokenUrl, options.client);
    return own(clientCredentials(options, endpoint, parts), egress, parts);
  }
  const subjects = subjectsOf(options.subjectProviderName, parts);
  if (options.type === "token_exchange") {
    const endpoint = at(options.tokenUrl, options.client);
    return own(tokenExchange(options, endpoint, subjects, parts), egress, parts);
  }
  if (options.type === "xaa") {
    const provider = at(options.idpTokenUrl, options.idpClient);
    const target = at(options.targetTokenUrl, options.targetClient);
    return own(crossAppAccess(options, { provider, target }, subjects, parts), egress, parts);
  }
  const endpoint = endpointAt(options.stsUrl, egress, parts);
  return own(awsSts(options, { endpoint, subjects }), egress, parts);
}

function own<T extends Expiring>(
  source: CredentialSource<T>,
  egress: Egress,
  parts: CredentialsParts,
): OwnedCredentials {
  const credentials = new CachedCredentials(source, parts);
  return {
    isPerUser: credentials.isPerUser,
    needsSignIn: false,
    headersFor: (identity, request) => credentials.headersFor(identity, request),
    refused: (identity, refusal) => credentials.refused(identity, refusal),
    [Symbol.asyncDispose]: async () => {
      credentials[Symbol.dispose]();
      await egress[Symbol.asyncDispose]();
    },
  };
}

function subjectsOf(provider: string | undefined, parts: CredentialsParts): SubjectTokens {
  const { backend, now, signIns } = parts;
  return provider === undefined
    ? clientTokens(backend, now)
    : async (identity, type) => signIns.subjectToken(provider, identity, type, backend);
}

function endpointAt(
  url: string,
  { fetch }: Egress,
  { backend, breakers }: CredentialsParts,
): CredentialEndpoint {
  return { backend, url, fetch, breakers };
}
