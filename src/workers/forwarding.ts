import { timingSafeEqual } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { VmcpError } from "../domain/errors.ts";
import { ConnectionPool } from "../lib/http-client/connection-pool.ts";
import { SIBLING_HEADER } from "./hop-headers.ts";
import { StreamedRequests, type StreamedRequestsOptions } from "./streamed-request.ts";
import { forwardWhole, isWhole } from "./whole-request.ts";

export type ForwarderOptions = StreamedRequestsOptions;

/** What requests to a worker are addressed to where they name no host themselves. */
const SIBLING_ORIGIN = "http://localhost";

/** The kernel itself takes connections for a process that is busy. */
const CONNECT_MS = 5_000;

/** Sends requests to the worker that owns their session and relays its answers as they come. */
export class Forwarder implements Disposable {
  readonly #options: ForwarderOptions;
  readonly #streamed: StreamedRequests;
  /** One per other worker. */
  readonly #pools = new Map<number, ConnectionPool>();

  constructor(options: ForwarderOptions) {
    this.#options = options;
    this.#streamed = new StreamedRequests(options);
  }

  /**
   * Sends the request once and answers it with what the owner answers; when the client goes away, so does the
   * request. Resolves with false, the request unread, where the owner is not there, and with it the session. Where
   * the owner ends in between, nobody knows what became of the request, and the client's connection is cut. Rejects
   * with `overloaded`, the request unread, where the owner cannot be reached though it may be there.
   */
  forward(owner: number, request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    if (!isWhole(request)) return this.#streamed.forward(owner, request, response);
    return forwardWhole(request, response, this.#poolTo(owner), this.#options.secret);
  }

  [Symbol.dispose](): void {
    this.#streamed[Symbol.dispose]();
    for (const pool of this.#pools.values()) pool[Symbol.dispose]();
  }

  #poolTo(owner: number): ConnectionPool {
    const known = this.#pools.get(owner);
    if (known !== undefined) return known;
    const pool = new ConnectionPool(SIBLING_ORIGIN, {
      socketPath: this.#options.pathOf(owner),
      // Each serves one request of a client's connection, and those have a limit.
      maxConnections: Number.POSITIVE_INFINITY,
      connectMs: CONNECT_MS,
    });
    this.#pools.set(owner, pool);
    return pool;
  }
}

/** Throws `forbidden_host` unless another worker sent the request. */
export function requireSibling({ headers }: IncomingMessage, secret: string): void {
  const shown = Buffer.from(String(headers[SIBLING_HEADER] ?? ""));
  const expected = Buffer.from(secret);
  if (shown.length === expected.length && timingSafeEqual(shown, expected)) return;
  throw new VmcpError("forbidden_host", "Only the gateway's own processes may use this socket");
}
