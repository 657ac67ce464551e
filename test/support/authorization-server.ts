import { createHash, randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text as readText } from "node:stream/consumers";
import type { HttpLedger } from "./ledger-backend.ts";

interface Issued {
  readonly query: URLSearchParams;
  readonly user: string;
}

/**
 * An authorization server on a loopback port whose users agree to everything at once: whoever comes to its
 * authorization endpoint is sent back as `user`, with a code. It checks what a server must check.
 */
export class AuthorizationServer implements AsyncDisposable {
  /** Who is at the browser. */
  user = "alice";
  /** How long access tokens live. */
  lifetimeSeconds = 3_600;
  /** Put over what it publishes about itself. */
  metadata: object = {};
  /** Put over what it sends browsers back with; undefined takes a parameter away. */
  callback: Readonly<Record<string, string | undefined>> = {};
  /** Refuses all refresh tokens. */
  refusesRefresh = false;
  readonly registrations: Record<string, unknown>[] = [];
  readonly authorizations: URLSearchParams[] = [];
  readonly tokenRequests: URLSearchParams[] = [];
  /** Of the same requests. */
  readonly tokenHeaders: IncomingMessage["headers"][] = [];
  /** Access tokens that are good now. */
  readonly good = new Map<string, string>();
  readonly #codes = new Map<string, Issued>();
  readonly #refreshTokens = new Map<string, string>();
  readonly #server: Server;
  #port = 0;
  #count = 0;

  private constructor() {
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  static async start(): Promise<AuthorizationServer> {
    const server = new AuthorizationServer();
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    // A listening TCP server has an address of this shape.
    server.#port = (server.#server.address() as AddressInfo).port;
    return server;
  }

  get issuer(): string {
    return `http://127.0.0.1:${String(this.#port)}`;
  }

  /** Has a backend ask for tokens of this server, and publish where it is. */
  protect(backend: HttpLedger, { isOpenToLists = false, scope = "use" } = {}): void {
    const origin = new URL(backend.url).origin;
    const metadataUrl = `${origin}/.well-known/oauth-protected-resource/mcp`;
    backend.interceptWith((request, body, response) => {
      if (request.url === "/.well-known/oauth-protected-resource/mcp") {
        const resource = backend.url;
        const authorization_servers = [this.issuer];
        respond(response, 200, { resource, authorization_servers, scopes_supported: [scope] });
        return true;
      }
      const token = request.headers.authorization?.replace("Bearer ", "") ?? "";
      if (this.good.has(token) || (isOpenToLists && !body.includes('"tools/call"'))) return false;
      const challenge = `Bearer resource_metadata="${metadataUrl}", scope="${scope}"`;
      response.writeHead(401, { "www-authenticate": challenge }).end();
      return true;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", this.issuer);
    const body = await readText(request);
    switch (url.pathname) {
      case "/.well-known/oauth-authorization-server":
        respond(response, 200, {
          issuer: this.issuer,
          authorization_endpoint: `${this.issuer}/authorize`,
          token_endpoint: `${this.issuer}/token`,
          registration_endpoint: `${this.issuer}/register`,
          code_challenge_methods_supported: ["S256"],
          token_endpoint_auth_methods_supported: ["none"],
          authorization_response_iss_parameter_supported: true,
          ...this.metadata,
        });
        return;
      case "/register":
        this.#register(JSON.parse(body), response);
        return;
      case "/authorize":
        this.#authorize(url.searchParams, response);
        return;
      case "/token":
        this.tokenHeaders.push(request.headers);
        this.#token(new URLSearchParams(body), response);
        return;
      default:
        respond(response, 404, {});
    }
  }

  #register(metadata: Record<string, unknown>, response: ServerResponse): void {
    this.registrations.push(metadata);
    const client_id = `client-${String(this.registrations.length)}`;
    respond(response, 201, { ...metadata, client_id });
  }

  #authorize(query: URLSearchParams, response: ServerResponse): void {
    this.authorizations.push(query);
    const code = randomUUID();
    this.#codes.set(code, { query, user: this.user });
    const back = new URL(query.get("redirect_uri") ?? "");
    const answer = { code, state: query.get("state") ?? "", iss: this.issuer, ...this.callback };
    for (const [name, value] of Object.entries(answer)) {
      if (value !== undefined) back.searchParams.set(name, value);
    }
    response.writeHead(302, { location: back.href }).end();
  }

  #token(form: URLSearchParams, response: ServerResponse): void {
    this.tokenRequests.push(form);
    const user =
      form.get("grant_type") === "refresh_token" ? this.#refreshed(form) : this.#redeemed(form);
    if (user === undefined) {
      respond(response, 400, { error: "invalid_grant", error_description: "SECRET-DESCRIPTION" });
      return;
    }
    this.#count += 1;
    const access_token = `ACCESS-${String(this.#count)}-of-${user}`;
    const refresh_token = `REFRESH-${String(this.#count)}-of-${user}`;
    this.good.set(access_token, user);
    this.#refreshTokens.set(refresh_token, user);
    const expires_in = this.lifetimeSeconds;
    respond(response, 200, { access_token, refresh_token, token_type: "Bearer", expires_in });
  }

  /** Each refresh token is good once. */
  #refreshed(form: URLSearchParams): string | undefined {
    const token = form.get("refresh_token") ?? "";
    const user = this.refusesRefresh ? undefined : this.#refreshTokens.get(token);
    this.#refreshTokens.delete(token);
    return user;
  }

  #redeemed(form: URLSearchParams): string | undefined {
    const code = form.get("code") ?? "";
    const issued = this.#codes.get(code);
    this.#codes.delete(code);
    if (issued === undefined) return undefined;
    const { query, user } = issued;
    const challenge = createHash("sha256")
      .update(form.get("code_verifier") ?? "")
      .digest("base64url");
    const isSame = ["redirect_uri", "resource"].every((name) => form.get(name) === query.get(name));
    return isSame && challenge === query.get("code_challenge") ? user : undefined;
  }
}

function respond(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
