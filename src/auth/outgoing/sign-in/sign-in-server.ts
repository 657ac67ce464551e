import {
  allowInsecureRequests,
  authorizationCodeGrantRequest,
  calculatePKCECodeChallenge,
  customFetch,
  dynamicClientRegistrationRequest,
  processAuthorizationCodeResponse,
  processDynamicClientRegistrationResponse,
  validateAuthResponse,
  type AuthorizationServer,
  type TokenEndpointResponse,
} from "oauth4webapi";
import type { EgressFetch } from "../../egress/egress.ts";
import { toClientAuth, type OAuthClient } from "../token-endpoint.ts";

/** One authorization server, and what the gateway is to it. */
export interface SignInServer {
  readonly server: AuthorizationServer;
  readonly client: OAuthClient;
  readonly redirectUri: string;
}

/** What one sign-in asks for. */
export interface AuthorizationRequest {
  readonly state: string;
  readonly verifier: string;
  readonly resource: string;
  readonly scopes: readonly string[];
}

/** Registers the gateway where users of a backend sign in (RFC 7591). Rejects where nobody can. */
export async function register(
  server: AuthorizationServer,
  redirectUri: string,
  fetch: EgressFetch,
): Promise<OAuthClient> {
  const isLocal = new URL(redirectUri).protocol === "http:";
  const methods = server.token_endpoint_auth_methods_supported ?? ["client_secret_basic"];
  const mayRenew = server.grant_types_supported?.includes("refresh_token") !== false;
  const response = await dynamicClientRegistrationRequest(
    server,
    {
      client_name: "vmcp",
      redirect_uris: [redirectUri],
      grant_types: ["authorization_code", ...(mayRenew ? ["refresh_token"] : [])],
      response_types: ["code"],
      token_endpoint_auth_method: methods.includes("none") ? "none" : "client_secret_basic",
      application_type: isLocal ? "native" : "web",
    },
    asking(fetch),
  );
  const registered = await processDynamicClientRegistrationResponse(response);
  const { client_id: id, client_secret: secret } = registered;
  return { id, secret: typeof secret === "string" ? secret : undefined };
}

/** Where a browser goes to sign in. */
export async function authorizationUrl(
  { server, client, redirectUri }: SignInServer,
  { state, verifier, resource, scopes }: AuthorizationRequest,
): Promise<string> {
  const url = new URL(server.authorization_endpoint ?? "");
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw new Error("the authorization endpoint is no web address");
  }
  const parameters = {
    response_type: "code",
    client_id: client.id,
    redirect_uri: redirectUri,
    code_challenge: await calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    state,
    resource,
    ...(scopes.length > 0 && { scope: scopes.join(" ") }),
  };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return url.href;
}

/**
 * Takes what the browser brought back to the server for tokens. Rejects where it is an error, or comes from another
 * server than the one that was asked (RFC 9207).
 */
export async function redeem(
  { server, client, redirectUri }: SignInServer,
  { state, verifier, resource }: AuthorizationRequest,
  answer: URLSearchParams,
  fetch: EgressFetch,
): Promise<TokenEndpointResponse> {
  const known = { client_id: client.id };
  const checked = validateAuthResponse(server, known, answer, state);
  const response = await authorizationCodeGrantRequest(
    server,
    known,
    toClientAuth(client),
    checked,
    redirectUri,
    verifier,
    { ...asking(fetch), additionalParameters: { resource } },
  );
  return processAuthorizationCodeResponse(server, known, response);
}

/** What may be asked, and whether in clear text, the way out has been told. */
function asking(fetch: EgressFetch) {
  return { [customFetch]: fetch, [allowInsecureRequests]: true };
}
