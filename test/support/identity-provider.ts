import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import {
  exportJWK,
  generateKeyPair,
  SignJWT,
  type CryptoKey,
  type JWK,
  type JWTPayload,
} from "jose";
import {
  Provider,
  type ClientMetadata,
  type Configuration,
  type ResourceServer,
  type TokenEndpointGrantContext,
} from "oidc-provider";

/** Asked for with `grant_type`: a token for whoever `username` names, without a password or a browser. */
export const USER_GRANT = "urn:example:user";

export interface IdentityProviderOptions {
  /** Clients besides `test-client` (with secret `test-secret`). */
  readonly clients?: readonly ClientMetadata[];
  /** How long access tokens live. Default 300 s. */
  readonly tokenSeconds?: number;
  /** Default `jwt`; opaque ones are told about by introspection alone. */
  readonly tokenFormat?: "jwt" | "opaque";
  /** Over what is set here. */
  readonly configuration?: Configuration;
  /** Called with each provider, also those that take its place: for further grants. */
  readonly setUp?: (provider: Provider) => void;
}

export interface UserToken {
  readonly subject: string;
  /** The resource that the token is for; its audience. */
  readonly audience: string;
  readonly scope?: string;
  readonly clientId?: string;
}

export const TEST_CLIENT = { id: "test-client", secret: "test-secret" } as const;

/** The scopes that a token for any resource may have. */
const SCOPES = "mcp:read mcp:write mcp:admin";

/**
 * A real OpenID provider on a loopback port over plain HTTP: discovery, keys, token endpoint, introspection. Its keys
 * can be changed, and it can be away for a while.
 */
export class IdentityProvider implements AsyncDisposable {
  readonly issuer: string;
  /** Method and path of each request, oldest first. */
  readonly requests: string[] = [];
  readonly #options: IdentityProviderOptions;
  readonly #port: number;
  #server: Server;
  readonly #used: SigningKey[];
  #keys: readonly SigningKey[];
  #callback: ReturnType<Provider["callback"]>;
  #fault: ((request: IncomingMessage) => string | undefined) | undefined;

  private constructor(
    server: Server,
    port: number,
    keys: readonly SigningKey[],
    options: IdentityProviderOptions,
  ) {
    this.issuer = `http://127.0.0.1:${String(port)}`;
    this.#server = server;
    this.#port = port;
    this.#keys = keys;
    this.#used = [...keys];
    this.#options = options;
    this.#callback = this.#provide();
    this.#serve(server);
  }

  static async start(options: IdentityProviderOptions = {}): Promise<IdentityProvider> {
    const server = createServer();
    const port = await listen(server, 0);
    return new IdentityProvider(server, port, [await keyBeside([])], options);
  }

  /** A token that the provider issued for a user. Rejects with what the provider says. */
  async tokenFor({ subject, audience, scope = "mcp:read", clientId }: UserToken): Promise<string> {
    const id = clientId ?? TEST_CLIENT.id;
    const secret = this.#options.clients?.find(({ client_id }) => client_id === id)?.client_secret;
    const answer = await fetch(`${this.issuer}/token`, {
      method: "POST",
      headers: { authorization: `Basic ${btoa(`${id}:${secret ?? TEST_CLIENT.secret}`)}` },
      body: new URLSearchParams({
        grant_type: USER_GRANT,
        username: subject,
        resource: audience,
        scope,
      }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`the identity provider says ${answer.status}: ${text}`);
    // What a token endpoint answers with 200.
    return (JSON.parse(text) as { readonly access_token: string }).access_token;
  }

  /** A token of any content, signed with the provider's newest key. */
  async sign(claims: JWTPayload, header: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const [key] = this.#keys;
    if (key === undefined) throw new Error("the identity provider has no key");
    return new SignJWT(claims)
      .setProtectedHeader({ alg: "RS256", kid: key.id, typ: "at+jwt", ...header })
      .sign(key.privateKey);
  }

  /** Signs with a new key from now on. The ones before are published as long as they are not removed. */
  async rotateKeys({ keepOld = true } = {}): Promise<void> {
    const next = await keyBeside(this.#used);
    this.#used.push(next);
    this.#keys = [next, ...(keepOld ? this.#keys : [])];
    this.#callback = this.#provide();
  }

  /** Is away, as if it were not running, until `resume`. */
  async pause(): Promise<void> {
    await close(this.#server);
  }

  async resume(): Promise<void> {
    this.#server = createServer();
    this.#serve(this.#server);
    await listen(this.#server, this.#port);
  }

  /** Answers in place of the provider wherever this gives a text; `hang` never answers. Undefined: all is well again. */
  fail(fault: ((request: IncomingMessage) => string | undefined) | undefined): void {
    this.#fault = fault;
  }

  /** How often a path was asked for. */
  asked(path: string): number {
    return this.requests.filter((line) => line.endsWith(` ${path}`)).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await close(this.#server);
  }

  #serve(server: Server): void {
    server.on("request", (request, response) => {
      this.requests.push(`${request.method ?? ""} ${request.url ?? ""}`);
      const fault = this.#fault?.(request);
      if (fault === "hang") return;
      if (fault === undefined) void this.#callback(request, response);
      else response.writeHead(200, { "content-type": "text/html" }).end(fault);
    });
  }

  #features(resourceServerOf: (audience: string) => ResourceServer): Configuration["features"] {
    const features = {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context: unknown, audience: string) => resourceServerOf(audience),
      },
      ...this.#options.configuration?.features,
    };
    // The type tells apart which features go together; over what a test adds it cannot.
    return features as Configuration["features"];
  }

  #provide(): ReturnType<Provider["callback"]> {
    const { clients = [], tokenFormat = "jwt", tokenSeconds = 300, configuration } = this.#options;
    const resourceServerOf = (audience: string): ResourceServer => ({
      audience,
      scope: SCOPES,
      accessTokenFormat: tokenFormat,
      accessTokenTTL: tokenSeconds,
      jwt: { sign: { alg: "RS256" } },
    });
    const provider = new Provider(this.issuer, {
      jwks: { keys: this.#keys.map(({ jwk }) => jwk) },
      clients: [
        {
          client_id: TEST_CLIENT.id,
          client_secret: TEST_CLIENT.secret,
          grant_types: [USER_GRANT, "client_credentials"],
          redirect_uris: [],
          response_types: [],
        },
        ...clients,
      ],
      scopes: SCOPES.split(" "),
      ttl: { AccessToken: tokenSeconds, ClientCredentials: tokenSeconds, Grant: 3_600 },
      ...configuration,
      features: this.#features(resourceServerOf),
      findAccount: (_context, subject) => ({
        accountId: subject,
        claims: () => ({ sub: subject }),
      }),
    });
    provider.registerGrantType<UserGrantParams>(
      USER_GRANT,
      async (context) => issueToUser(context, resourceServerOf(context.oidc.params.resource ?? "")),
      ["username", "resource", "scope"],
    );
    this.#options.setUp?.(provider);
    return provider.callback();
  }
}

interface SigningKey {
  readonly id: string;
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
}

/** Made keys, which providers share: making one takes longer than a whole test. */
const keys: SigningKey[] = [];

/** A key that is none of those. */
async function keyBeside(used: readonly SigningKey[]): Promise<SigningKey> {
  const known = keys.find((key) => !used.includes(key));
  if (known !== undefined) return known;
  const { privateKey } = await generateKeyPair("RS256", { extractable: true });
  const id = `key-${String(keys.length + 1)}`;
  const jwk = { ...(await exportJWK(privateKey)), kid: id, use: "sig", alg: "RS256" };
  const key = { id, privateKey, jwk };
  keys.push(key);
  return key;
}

interface UserGrantParams {
  readonly username?: string;
  readonly resource?: string;
  readonly scope?: string;
}

async function issueToUser(
  context: TokenEndpointGrantContext<UserGrantParams>,
  resourceServer: ResourceServer,
): Promise<void> {
  const { provider, client, params } = context.oidc;
  const { username: accountId = "", resource = "", scope = "" } = params;
  const grant = new provider.Grant({ accountId, clientId: client.clientId });
  grant.addResourceScope(resource, scope);
  const token = new provider.AccessToken({
    accountId,
    client,
    grantId: await grant.save(),
    gty: "user",
    scope,
  });
  token.resourceServer = new provider.ResourceServer(resource, resourceServer);
  context.body = { access_token: await token.save(), token_type: "Bearer", scope };
}

async function close(server: Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  await closed;
}

async function listen(server: Server, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  // A listening TCP server has an address of this shape.
  return (server.address() as AddressInfo).port;
}
