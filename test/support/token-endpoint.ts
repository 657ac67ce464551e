import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text as readText } from "node:stream/consumers";

/** One request for a token, as it came. */
export interface AskedToken {
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly form: Readonly<Record<string, string>>;
}

/** What is answered: a status and a body, or nothing ever. */
export type TokenAnswer =
  | { readonly status?: number; readonly body: object | string; readonly retryAfter?: number }
  | "hang";

/**
 * A token endpoint on a loopback port that answers as the test says; by default each request with another token,
 * `token-1`, `token-2` and so on, for an hour.
 */
export class ScriptedTokenEndpoint implements AsyncDisposable {
  readonly asked: AskedToken[] = [];
  /** How long the tokens that it makes up live. */
  lifetimeSeconds: number | undefined = 3_600;
  answer: (asked: AskedToken) => TokenAnswer | Promise<TokenAnswer> = () => ({
    body: this.nextToken(),
  });
  readonly #server: Server;
  #port = 0;

  private constructor() {
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  static async start(): Promise<ScriptedTokenEndpoint> {
    const endpoint = new ScriptedTokenEndpoint();
    await endpoint.resume();
    return endpoint;
  }

  get url(): string {
    return `http://127.0.0.1:${String(this.#port)}/token`;
  }

  /** What an endpoint says that gives out a token. */
  nextToken(more: object = {}): object {
    return {
      access_token: `token-${String(this.asked.length)}`,
      token_type: "Bearer",
      ...(this.lifetimeSeconds !== undefined && { expires_in: this.lifetimeSeconds }),
      ...more,
    };
  }

  /** Is away, as if it were not running, until `resume`. */
  async pause(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async resume(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(this.#port, "127.0.0.1", resolve));
    // A listening TCP server has an address of this shape.
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pause();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const form = Object.fromEntries(new URLSearchParams(await readText(request)));
    const asked = { path: request.url ?? "", headers: request.headers, form };
    this.asked.push(asked);
    const answer = await this.answer(asked);
    if (answer === "hang") return;
    const { status = 200, body, retryAfter } = answer;
    response.writeHead(status, {
      "content-type": typeof body === "string" ? "text/xml" : "application/json",
      ...(retryAfter !== undefined && { "retry-after": String(retryAfter) }),
    });
    response.end(typeof body === "string" ? body : JSON.stringify(body));
  }
}
