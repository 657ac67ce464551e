import { createHash } from "node:crypto";
import type { LookupFunction } from "node:net";
import { rootCertificates } from "node:tls";
import type { Dispatcher } from "undici";
import { createCheckedLookup } from "../../lib/checked-lookup.ts";
import { Pool } from "../../lib/undici.ts";

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

/** The larger part of what a response's head may take; the rest of the limit is the status line's. */
const MAX_HEADER_BYTES = 16_384;

/** What sends a request and hands on what comes back. */
export type RequestSender = Pick<Dispatcher, "dispatch">;

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
 * is under way.
 */
export class HttpPools implements AsyncDisposable {
  readonly #sizes: PoolSizes;
  readonly #origins = new Map<string, Readonly<Record<keyof OriginPools, Dispatcher>>>();

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
    return pools;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const pools = [...this.#origins.values()].flatMap((kinds) => Object.values(kinds));
    this.#origins.clear();
    await Promise.allSettled(pools.map((pool) => pool.destroy()));
  }
}

function openPool(
  origin: string,
  connections: number,
  options: OriginOptions,
  lookup: LookupFunction,
): Dispatcher {
  const { caBundle, connectMs } = options;
  return new Pool(origin, {
    connections,
    pipelining: 1,
    maxHeaderSize: MAX_HEADER_BYTES,
    // Every request has a deadline of its own, and a notification stream may be silent for hours.
    headersTimeout: 0,
    bodyTimeout: 0,
    // Given authorities replace the built-in ones, so that those are named along with them.
    connect: {
      timeout: connectMs,
      lookup,
      ...(caBundle !== undefined && { ca: [...rootCertificates, caBundle] }),
    },
  });
}

function fingerprint(caBundle: string | Buffer | undefined): string {
  return caBundle === undefined ? "" : createHash("sha256").update(caBundle).digest("hex");
}
