import {
  allowInsecureRequests,
  ClientSecretBasic,
  customFetch,
  genericTokenEndpointRequest,
  None,
  processGenericTokenEndpointResponse,
  ResponseBodyError,
  type ClientAuth,
  type TokenEndpointResponse,
} from "oauth4webapi";
import { VmcpError } from "../../domain/errors.ts";
import type { EgressFetch } from "../egress/egress.ts";
import { credentialsError } from "./credentials-error.ts";
import { askPatiently, type CredentialEndpoint } from "./endpoint-attempts.ts";

export interface TokenEndpointOptions extends CredentialEndpoint {
  /** The gateway as the endpoint knows it. Default: it does not ask. */
  readonly client?: OAuthClient | undefined;
}

export interface OAuthClient {
  readonly id: string;
  /** Absent for a client that has none. */
  readonly secret?: string | undefined;
}

export interface TokenRequest {
  readonly grantType: string;
  /** Those that are undefined are left out. */
  readonly parameters: Readonly<Record<string, string | undefined>>;
  /** Other types of token than `bearer` that are fine, in lower case. */
  readonly tokenTypes?: readonly string[];
}

/** A place that gives out tokens. */
export class TokenEndpoint {
  readonly #options: TokenEndpointOptions;

  constructor(options: TokenEndpointOptions) {
    this.#options = options;
  }

  /** Rejects with `backend_auth`, whose message holds nothing that the endpoint said but the error's name. */
  async request(request: TokenRequest): Promise<TokenEndpointResponse> {
    try {
      return await askPatiently(this.#options, async (fetch) => this.#try(request, fetch));
    } catch (thrown) {
      throw thrown instanceof VmcpError ? thrown : toRefusal(this.#options.backend, thrown);
    }
  }

  async #try(
    { grantType, parameters, tokenTypes = [] }: TokenRequest,
    fetch: EgressFetch,
  ): Promise<TokenEndpointResponse> {
    const { url, client } = this.#options;
    const server = { issuer: url, token_endpoint: url };
    const known = { client_id: client?.id ?? NAMELESS };
    const given = Object.entries(parameters).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value]],
    );
    const response = await genericTokenEndpointRequest(
      server,
      known,
      toClientAuth(client),
      grantType,
      given,
      // What may be asked, and whether in clear text, the way out has been told.
      { [customFetch]: fetch, [allowInsecureRequests]: true },
    );
    const recognizedTokenTypes = Object.fromEntries(tokenTypes.map((type) => [type, () => {}]));
    const answer = await withoutIdToken(response);
    return processGenericTokenEndpointResponse(server, known, answer, { recognizedTokenTypes });
  }
}

/** Stands for a client that the endpoint does not ask the name of; it is not sent. */
const NAMELESS = "vmcp";

/** How the gateway says which client it is. */
export function toClientAuth(client: OAuthClient | undefined): ClientAuth {
  if (client === undefined) return () => {};
  return client.secret === undefined ? None() : ClientSecretBasic(client.secret);
}

/** That a token endpoint gave no token, told without anything that it said but the error's name. */
export function toRefusal(backend: string, cause: unknown): VmcpError {
  const name = errorNameOf(cause);
  const sentence =
    name === undefined ? "gave an answer that is not understood" : `refused with the error ${name}`;
  return credentialsError(backend, `cannot be given credentials: its token endpoint ${sentence}`, {
    cause,
    ...(name !== undefined && { reason: name }),
  });
}

/** The error that somebody else named, where it is a name: it could hold anything. */
export function errorNameOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof ResponseBodyError)) return undefined;
  return /^[a-z_]{1,40}$/.test(thrown.error) ? thrown.error : undefined;
}

/** Nobody asked for one, and nobody here could check it: its issuer is not known. */
async function withoutIdToken(response: Response): Promise<Response> {
  const text = await response.text();
  const { status, headers } = response;
  try {
    const { id_token: _idToken, ...rest } = JSON.parse(text);
    return new Response(JSON.stringify(rest), { status, headers });
  } catch {
    // Whoever reads it says what is wrong with it.
    return new Response(text, { status, headers });
  }
}
