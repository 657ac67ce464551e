import { processDiscoveryResponse, type AuthorizationServer } from "oauth4webapi";
import type { VmcpError } from "../../../domain/errors.ts";
import { isJsonObject, type JsonObject } from "../../../domain/json.ts";
import type { EgressFetch } from "../../egress/egress.ts";
import { credentialsError } from "../credentials-error.ts";
import { challengeParameter } from "./challenge.ts";

/** Where users of a backend sign in, and for what. */
export interface SignInPlace {
  readonly server: AuthorizationServer;
  /** What tokens are asked for (RFC 8707). */
  readonly resource: string;
  /** What the backend says it needs, as far as it does. */
  readonly scopes: readonly string[];
}

export interface DiscoveryOptions {
  /** The backend's name, for messages. */
  readonly backend: string;
  /** The backend's URL. */
  readonly url: string;
  /** What the backend sent in `WWW-Authenticate`. */
  readonly challenge: string | undefined;
  /** The issuer that the configuration names. */
  readonly issuer: string | undefined;
  readonly fetch: EgressFetch;
}

/**
 * Finds where users of a backend sign in: by the backend's own metadata (RFC 9728), then by that of the server that it
 * names (RFC 8414, or OpenID Connect). Rejects where either is missing, names another resource or issuer than it was
 * asked for, or where the server has no PKCE with S256. Rejects with `backend_auth` then, or with `EgressError`.
 */
export async function discover(options: DiscoveryOptions): Promise<SignInPlace> {
  const metadata = await resourceMetadata(options);
  const issuers = stringsIn(metadata?.["authorization_servers"]);
  // Backends of the first revision with authorization are their own authorization server.
  const issuer = options.issuer ?? issuers[0] ?? new URL(options.url).origin;
  const server = await serverMetadata(issuer, options);
  if (server.code_challenge_methods_supported?.includes("S256") !== true) {
    throw fault(options, "does not say that it supports PKCE with S256");
  }
  const named = metadata?.["resource"];
  return {
    server,
    resource: typeof named === "string" ? named : canonical(options.url),
    scopes: stringsIn(metadata?.["scopes_supported"]),
  };
}

async function resourceMetadata(options: DiscoveryOptions): Promise<JsonObject | undefined> {
  const { url, challenge, fetch } = options;
  const named = challengeParameter(challenge, "resource_metadata");
  const places = named === undefined ? wellKnown(url, "oauth-protected-resource") : [named];
  for (const place of places) {
    // One after the other: the second place is only looked at where the first has nothing.
    const metadata = await jsonAt(place, fetch);
    if (metadata !== undefined) return checkedMetadata(metadata, options);
  }
  return undefined;
}

/** A backend may speak for itself and for what it is part of, and for nobody else. */
function checkedMetadata(metadata: JsonObject, { url, backend }: DiscoveryOptions): JsonObject {
  const { resource } = metadata;
  if (typeof resource === "string" && URL.canParse(resource)) {
    const [named, asked] = [new URL(resource), new URL(url)];
    const isPart = `${asked.pathname}/`.startsWith(`${named.pathname.replace(/\/$/, "")}/`);
    if (named.origin === asked.origin && isPart) return metadata;
  }
  throw credentialsError(backend, "needs its user to sign in, and says so of another resource");
}

async function serverMetadata(
  issuer: string,
  options: DiscoveryOptions,
): Promise<AuthorizationServer> {
  const places = [
    ...wellKnown(issuer, "oauth-authorization-server").slice(0, 1),
    ...wellKnown(issuer, "openid-configuration").slice(0, 1),
    `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`,
  ];
  for (const place of new Set(places)) {
    const response = await options.fetch(place);
    if (response.status !== 200) continue;
    const server = await metadataIn(response, issuer);
    // RFC 8414, section 3.3: identical, and not merely the same address.
    if (server?.issuer === issuer) return server;
    throw fault(options, "says something else of itself than what it was asked for");
  }
  throw fault(options, "publishes no metadata");
}

async function metadataIn(
  response: Response,
  issuer: string,
): Promise<AuthorizationServer | undefined> {
  try {
    return await processDiscoveryResponse(new URL(issuer), response);
  } catch {
    return undefined;
  }
}

function fault({ backend }: DiscoveryOptions, sentence: string): VmcpError {
  return credentialsError(
    backend,
    `needs its user to sign in, but its authorization server ${sentence}`,
  );
}

/** With the path put in behind the well-known place, then without it. */
function wellKnown(text: string, name: string): readonly string[] {
  const { origin, pathname } = new URL(text);
  const root = `${origin}/.well-known/${name}`;
  return pathname === "/" ? [root] : [`${root}${pathname.replace(/\/$/, "")}`, root];
}

async function jsonAt(url: string, fetch: EgressFetch): Promise<JsonObject | undefined> {
  const response = await fetch(url, { headers: { accept: "application/json" } });
  if (response.status !== 200) return undefined;
  const json: unknown = await response.json();
  return isJsonObject(json) ? json : undefined;
}

function canonical(text: string): string {
  const url = new URL(text);
  url.hash = "";
  return url.pathname === "/" ? url.origin : url.href;
}

function stringsIn(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}
