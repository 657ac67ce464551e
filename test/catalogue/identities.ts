import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Entry } from "./entry.ts";
import { AUDIENCE, ISSUER, publishedKeys, tokenOf } from "./tokens.ts";

/** The areas that are about who sends a request. */
const AREAS: ReadonlySet<string> = new Set(["auth", "headers"]);

/** The session of a client that nobody knows; only a gateway that asks nobody has such. */
export const ANONYMOUS_SESSION = "anonymous";

/** Names of others than the one client that all other entries are of. */
const OTHERS = /"auth":(?:"(?!alice")|\{)/;

/** The scope that the tool `admin` needs. */
const ADMIN_SCOPE = "catalogue:admin";

/** Everything but what the entries assume to be denied. */
const POLICIES = [
  "permit(principal, action, resource);",
  'forbid(principal, action, resource == Tool::"b1_delete");',
  'forbid(principal, action, resource) when { context has arg_path && context.arg_path like "/etc/*" };',
] as const;

/** Whether an entry means something only where clients are told apart. */
export function tellsApart({ area, request }: Pick<Entry, "area" | "request">): boolean {
  const text = JSON.stringify(request ?? {});
  if (text.includes(`"session":"${ANONYMOUS_SESSION}"`)) return false;
  return AREAS.has(area) || OTHERS.test(text);
}

/** What a client of this name sends as `Authorization`; undefined for nobody. */
export function proofOf(name: string): string | undefined {
  if (name === "none" || name === ANONYMOUS_SESSION) return undefined;
  if (name === "alice-readonly") return `Bearer ${tokenOf("alice", "catalogue:read")}`;
  return `Bearer ${tokenOf(name, ADMIN_SCOPE)}`;
}

/** Publishes the keys of the issuer that the tokens of entries name. */
export interface KeyServer extends AsyncDisposable {
  /** The part of a configuration that makes a gateway accept those tokens. */
  readonly incomingAuth: object;
}

export async function startKeyServer(): Promise<KeyServer> {
  const keys = JSON.stringify(publishedKeys());
  const server = createServer((_request, response) => {
    response.writeHead(200, { "content-type": "application/json" }).end(keys);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // A server that listens on TCP has an address object.
  const { port } = server.address() as AddressInfo;
  return {
    incomingAuth: {
      type: "oidc",
      oidc: {
        issuer: ISSUER,
        audience: AUDIENCE,
        jwksUrl: `http://127.0.0.1:${String(port)}/jwks`,
        insecureAllowHttp: true,
        jwksAllowPrivateIp: true,
      },
      toolScopes: { b1_admin: [ADMIN_SCOPE] },
      authz: { type: "cedar", policies: POLICIES },
    },
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
