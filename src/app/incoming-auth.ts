import { readFile } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";
import { ANONYMOUS_AUTH } from "../auth/incoming/anonymous.ts";
import { ApiKeys } from "../auth/incoming/api-keys.ts";
import { NO_FACTS, type ChallengeFacts } from "../auth/incoming/challenge.ts";
import type { AuthRequest, ClientAuth } from "../auth/incoming/client-auth.ts";
import { LocalUsers } from "../auth/incoming/local-user.ts";
import {
  metadataPathOf,
  metadataUrlOf,
  RESOURCE_METADATA_PATH,
  resourceMetadata,
} from "../auth/incoming/protected-resource.ts";
import { ToolScopes } from "../auth/incoming/tool-scopes.ts";
import { isLoopbackHost } from "../config/addresses.ts";
import type { IncomingAuthConfig, OidcConfig, VmcpConfig } from "../config/vmcp-config.ts";
import { messageOf, VmcpError } from "../domain/errors.ts";
import type { Identity } from "../domain/identity.ts";
import type { JsonObject } from "../domain/json.ts";
import type { Logger } from "../domain/logger.ts";
import type { Authenticator } from "../server/authenticator.ts";
import type { ScopeRules } from "../session/scope-rules.ts";

/** What is asked for where no scope is required: that the client may be known at all. */
const DEFAULT_SCOPES: readonly string[] = ["openid"];

/** One configuration of how clients prove themselves, with what was made of it. */
interface Installed {
  readonly config: IncomingAuthConfig;
  readonly trust: string | undefined;
  readonly clients: ClientAuth;
  readonly toolScopes: ToolScopes;
}

/** What `IncomingAuth.prepare` made; nothing of it is in force before `install`. */
export interface PreparedAuth {
  /** Puts it in force for all requests from now on. */
  install(): void;
}

/**
 * How clients of this gateway prove who they are, and what is published about it. Its way can be changed while it is
 * in use; what it remembers of proofs is kept where nothing changed.
 */
export class IncomingAuth implements Authenticator, ScopeRules, AsyncDisposable {
  readonly #logger: Logger;
  readonly #name: string;
  readonly #path: string;
  /** Where is listened until the end, whatever another configuration says. */
  readonly #host: string;
  #installed: Installed;
  /** The endpoint as it is listened on; none before that. */
  #url: string | undefined;

  private constructor(config: VmcpConfig, logger: Logger) {
    this.#logger = logger;
    this.#name = config.name;
    this.#path = config.server.path;
    this.#host = config.server.host;
    const none = { type: "anonymous", isClientBound: false, toolScopes: {} } as const;
    this.#installed = this.#make(none, undefined, ANONYMOUS_AUTH);
  }

  /** Asks nobody for anything yet. Rejects with `invalid_config` where a file cannot be read. */
  static async create(config: VmcpConfig, logger: Logger): Promise<IncomingAuth> {
    const auth = new IncomingAuth(config, logger);
    const prepared = await auth.prepare(config);
    prepared.install();
    return auth;
  }

  /** Makes another configuration ready. Rejects as `create` does, and nothing has changed then. */
  async prepare({
    incomingAuth: config,
    server: { host },
  }: Pick<VmcpConfig, "incomingAuth" | "server">): Promise<PreparedAuth> {
    this.#refuseStrangers(config, host);
    const trust = config.type === "oidc" ? await readTrust(config.oidc) : undefined;
    const clients = await this.#clientsOf(config, trust);
    return { install: () => this.#install(this.#make(config, trust, clients)) };
  }

  /** Tells where the endpoint is, for what is published where the configuration does not say. */
  listens(url: string): void {
    this.#url = url;
  }

  recall(request: AuthRequest): Identity | undefined {
    return this.#installed.clients.recall(request);
  }

  verify(request: AuthRequest): Identity | Promise<Identity> {
    return this.#installed.clients.verify(request);
  }

  /** Throws `insufficient_scope` where the identity's proof does not permit a call of this tool. */
  require(identity: Identity, toolName: string): void {
    this.#installed.toolScopes.require(identity, toolName);
  }

  wellKnown(path: string): JsonObject | undefined {
    const { config } = this.#installed;
    if (config.type !== "oidc") return undefined;
    const resource = this.#resourceOf(config.oidc);
    if (resource === undefined || !this.#metadataPaths(resource).includes(path)) return undefined;
    const { issuer, scopes } = config.oidc;
    const all = new Set([...advertised(scopes), ...Object.values(config.toolScopes).flat()]);
    return resourceMetadata({ resource, issuer, scopes: [...all], name: this.#name });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#installed.clients[Symbol.asyncDispose]();
  }

  /** A configuration is checked against the address that it names itself, and that one waits for a restart. */
  #refuseStrangers({ type }: IncomingAuthConfig, host: string): void {
    const isStillOpen = !isLoopbackHost(this.#host) && isLoopbackHost(host);
    if (!isStillOpen || type === "oidc" || type === "apiKey") return;
    throw new VmcpError(
      "invalid_config",
      `incomingAuth.type ${type} asks nobody for a proof, and the gateway listens on ${this.#host} until it is restarted: restart it with this configuration`,
    );
  }

  #install(next: Installed): void {
    const before = this.#installed;
    if (isDeepStrictEqual(before.config, next.config) && before.trust === next.trust) return;
    this.#installed = next;
    // Whoever is being verified by the old one is refused: what it would say no longer counts.
    void before.clients[Symbol.asyncDispose]();
  }

  #make(config: IncomingAuthConfig, trust: string | undefined, clients: ClientAuth): Installed {
    const { toolScopes } = config;
    const requiredScopes = config.type === "oidc" ? config.oidc.scopes : [];
    const facts = config.type === "oidc" ? this.#factsOf(config.oidc) : NO_FACTS;
    const tools = new ToolScopes({ toolScopes, requiredScopes, facts });
    return { config, trust, clients, toolScopes: tools };
  }

  async #clientsOf(config: IncomingAuthConfig, caBundle: string | undefined): Promise<ClientAuth> {
    const { isClientBound } = config;
    if (config.type === "anonymous") return ANONYMOUS_AUTH;
    if (config.type === "local") return new LocalUsers();
    if (config.type === "apiKey") return new ApiKeys({ keys: config.keys, isClientBound });
    // What it is made of takes long to load, and most gateways do without.
    const { OidcAuth } = await import("../auth/incoming/oidc-auth.ts");
    return new OidcAuth({
      ...config.oidc,
      requiredScopes: config.oidc.scopes,
      isClientBound,
      facts: this.#factsOf(config.oidc),
      caBundle,
      logger: this.#logger,
    });
  }

  #factsOf(oidc: OidcConfig): ChallengeFacts {
    const urlOf = (): string | undefined => {
      const resource = this.#resourceOf(oidc);
      return resource === undefined ? undefined : metadataUrlOf(resource);
    };
    return {
      // The address listened on is not known before there is somebody to tell it.
      get metadataUrl() {
        return urlOf();
      },
      scopes: advertised(oidc.scopes),
    };
  }

  #resourceOf({ resource }: OidcConfig): string | undefined {
    return resource ?? this.#url;
  }

  /** A proxy may serve the endpoint below another path than we do. */
  #metadataPaths(resource: string): readonly string[] {
    const { pathname } = new URL(resource);
    return [RESOURCE_METADATA_PATH, metadataPathOf(this.#path), metadataPathOf(pathname)];
  }
}

function advertised(scopes: readonly string[]): readonly string[] {
  return scopes.length === 0 ? DEFAULT_SCOPES : scopes;
}

async function readTrust({ caBundlePath }: OidcConfig): Promise<string | undefined> {
  if (caBundlePath === undefined) return undefined;
  try {
    return await readFile(caBundlePath, "utf8");
  } catch (error) {
    throw new VmcpError(
      "invalid_config",
      `The caBundlePath of incomingAuth.oidc cannot be read: ${messageOf(error)}`,
      { cause: error },
    );
  }
}
