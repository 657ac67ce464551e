import type { JsonObject } from "../../domain/json.ts";

/** Where clients look for what protects a resource (RFC 9728 section 3.1). */
export const RESOURCE_METADATA_PATH = "/.well-known/oauth-protected-resource";

export interface ProtectedResource {
  /** The resource as tokens name it. Never taken from a request. */
  readonly resource: string;
  readonly issuer: string;
  readonly scopes: readonly string[];
  readonly name: string;
}

/** The document about a resource (RFC 9728 section 2). */
export function resourceMetadata(about: ProtectedResource): JsonObject {
  return {
    resource: about.resource,
    authorization_servers: [about.issuer],
    scopes_supported: [...about.scopes],
    bearer_methods_supported: ["header"],
    resource_name: about.name,
  };
}

/** The address of the document about a resource: its own, with the well-known path between host and path. */
export function metadataUrlOf(resource: string): string {
  const { origin, pathname } = new URL(resource);
  return `${origin}${metadataPathOf(pathname)}`;
}

/** The path of the document about what is served at a path. */
export function metadataPathOf(path: string): string {
  return `${RESOURCE_METADATA_PATH}${path === "/" ? "" : path}`;
}
