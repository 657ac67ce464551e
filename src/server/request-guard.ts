import type { IncomingMessage } from "node:http";
import { VmcpError } from "../domain/errors.ts";

export interface GuardOptions {
  /** Host names (with or without port) that requests may be addressed to, beside the loopback names. */
  readonly allowedHosts: readonly string[];
  /** Origins of web pages that may call, beside those of loopback. */
  readonly allowedOrigins: readonly string[];
  /** Whether the listener is on loopback: then its names are welcome without being listed. */
  readonly isLoopback: boolean;
}

/** Headers of which a second one would mean that two readers of the request see two different requests. */
const SINGLE_HEADERS: ReadonlySet<string> = new Set([
  "host",
  "origin",
  "authorization",
  "content-type",
  "mcp-session-id",
  "mcp-protocol-version",
  "last-event-id",
]);

const LOOPBACK_NAMES: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);

const LOOPBACK_ORIGIN = /^https?:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?$/;

/**
 * Refuses what a web page of another site could send (DNS rebinding, MCP transports "Security Warning"): an
 * unknown Host or Origin, and any header twice that must stand once. Throws `forbidden_host` or
 * `invalid_request`. Looks at headers only.
 */
export class RequestGuard {
  readonly #hosts: ReadonlySet<string>;
  readonly #origins: ReadonlySet<string>;
  readonly #isLoopback: boolean;

  constructor({ allowedHosts, allowedOrigins, isLoopback }: GuardOptions) {
    this.#hosts = new Set(allowedHosts.map((host) => host.toLowerCase()));
    this.#origins = new Set(allowedOrigins);
    this.#isLoopback = isLoopback;
  }

  check(request: IncomingMessage): void {
    refuseRepeatedHeaders(request.rawHeaders);
    const { host, origin } = request.headers;
    if (host === undefined || !this.#isAllowedHost(host.toLowerCase())) {
      throw new VmcpError(
        "forbidden_host",
        "The Host header names a host that is not served here; list it in server.allowedHosts",
      );
    }
    if (origin !== undefined && !this.isListedOrigin(origin) && !this.#isLoopbackOrigin(origin)) {
      throw new VmcpError(
        "forbidden_host",
        "The Origin header names a site that may not call; list it in server.allowedOrigins",
      );
    }
  }

  /** Whether the configuration names this origin: only then are cross-origin headers sent. */
  isListedOrigin(origin: string): boolean {
    return this.#origins.has(origin);
  }

  #isLoopbackOrigin(origin: string): boolean {
    return this.#isLoopback && LOOPBACK_ORIGIN.test(origin);
  }

  #isAllowedHost(host: string): boolean {
    const name = withoutPort(host);
    if (this.#isLoopback && LOOPBACK_NAMES.has(name)) return true;
    return this.#hosts.has(host) || this.#hosts.has(name);
  }
}

function withoutPort(host: string): string {
  return host.replace(/:\d{1,5}$/, "");
}

function refuseRepeatedHeaders(rawHeaders: readonly string[]): void {
  let seen: Set<string> | undefined;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]?.toLowerCase() ?? "";
    if (!SINGLE_HEADERS.has(name)) continue;
    seen ??= new Set();
    if (seen.has(name)) {
      throw new VmcpError("invalid_request", `The header ${name} stands twice`);
    }
    seen.add(name);
  }
}
