import { createHash } from "node:crypto";
import type { LookupFunction } from "node:net";
import { rootCertificates } from "node:tls";
import { createCheckedLookup } from "../../lib/checked-lookup.ts";
import { ConnectionPool } from "../../lib/http-client/connection-pool.ts";
import type { RequestSender } from "../../lib/http-client/request-sender.ts";

/**
 * How many sockets one origin may take. MCP sessions are headers, not sockets: calls of any number of
 * sessions share these, while every open notification stream needs one of its own.
 */
export interface PoolSizes {
  /** Requests under way, answers that became streams included. Default 256. */
  readonly calls: number;
  /** Notification streams. Default 1,024. */
  readonly streams: number;
}

const DEFAULT_POOL_SIZES: PoolSizes = { calls: 256, streams: 1_024 };

/** Short requests that must get through while every call waits for one of them: answers, cancellations. */
const CONTROL_CONNECTIONS = 32;

/** The ways to one origin, kept apart so that none can block another. */
export interface OriginPools {
  readonly calls: RequestSender;
  readonly control: RequestSender;
  readonly streams: RequestSender;
}

export interface OriginOptions {
  readonly caBundle?: string | Buffer | undefined;
  readonly connectMs: number;
}

/**
 * The keep-alive connections of all HTTP backends, one set per origin (and trust, and connect time).
 *
 * Pools are made when first asked for and open sockets as calls need them. They never follow a redirect,
 * decode a body, pipeline or retry, and dial only what `createCheckedLookup` lets through. Disposing breaks whatever
 * is under way, and whatever is asked for afterwards.
 */
export class HttpPools implements AsyncDisposable {
  readonly #sizes: PoolSizes;
  readonly #origins = new Map<string, Readonly<Record<keyof OriginPools, ConnectionPool>>>();
  #isDisposed = false;

  constructor(sizes: Partial<PoolSizes> = {}) {
    this.#sizes = { ...DEFAULT_POOL_SIZES, ...sizes };
  }

  /** `origin` is scheme, host and port, as `URL.origin` gives them. */
  at(origin: string, options: OriginOptions): OriginPools {
    const key = [origin, options.connectMs, fingerprint(options.caBundle)].join(" ");
    const known = this.#origins.get(key);
    if (known !== undefined) return known;
    const lookup = createCheckedLookup();
    const pools = {
      calls: openPool(origin, this.#sizes.calls, options, lookup),
      control: openPool(origin, CONTROL_CONNECTIONS, options, lookup),
      streams: openPool(origin, this.#sizes.streams, options, lookup),
    };
    this.#origins.set(key, pools);
    // Whoever comes too late is told so with each request.
    if (this.#isDisposed) this.#disposeAll();
    return pools;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    this.#disposeAll();
  }

  #disposeAll(): void {
    const pools = [...this.#origins.values()].flatMap((kinds) => Object.values(kinds));
    this.#origins.clear();
    for (const pool of pools) pool[Symbol.dispose]();
  }
}

function openPool(
  origin: string,
  maxConnections: number,
  { caBundle, connectMs }: OriginOptions,
  lookup: LookupFunction,
): ConnectionPool {
  return new ConnectionPool(origin, {
    maxConnections,
    connectMs,
    lookup,
    // Given authorities replace the built-in ones, so that those are named along with them.
    ...(caBundle !== undefined && { ca: [...rootCertificates, caBundle] }),
  });
}

function fingerprint(caBundle: string | Buffer | undefined): string {
  return caBundle === undefined ? "" : createHash("sha256").update(caBundle).digest("hex");
}
