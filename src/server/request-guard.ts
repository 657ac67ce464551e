import type { IncomingMessage } from "node:http";
import { VmcpError } from "../domain/errors.ts";

export interface GuardOptions {
  /** The address listened on: requests may be addressed to it, and to loopback where that leads here too. */
  readonly host: string;
  /** Host names (with or without port) that requests may be addressed to besides. */
  readonly allowedHosts: readonly string[];
  /** Origins of web pages that may call, beside those of loopback on a loopback listener. */
  readonly allowedOrigins: readonly string[];
}

/** Headers of which a second one would mean that two readers of the request see two different requests. */
const SINGLE_HEADERS: ReadonlySet<string> = new Set([
  "host",
  "origin",
  "authorization",
  "content-type",
  "last-event-id",
]);

/** Of the protocol's own headers, known ones and those to come, none may stand twice. */
const PROTOCOL_HEADER_PREFIX = "mcp-";

const LOOPBACK_NAMES: readonly string[] = ["localhost", "127.0.0.1", "[::1]"];

/** Listening on these means on every address of the machine, loopback included. */
const WILDCARD_HOSTS: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

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

  constructor({ host, allowedHosts, allowedOrigins }: GuardOptions) {
    this.#isLoopback = isLoopbackHost(host);
    const hosts = [...allowedHosts, ...ownHosts(host)];
    this.#hosts = new Set(hosts.map((name) => name.toLowerCase()));
    this.#origins = new Set(allowedOrigins);
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
    return this.#hosts.has(host) || this.#hosts.has(withoutPort(host));
  }
}

function isLoopbackHost(host: string): boolean {
  return /^(?:localhost|\[?::1\]?|127(?:\.\d{1,3}){3})$/i.test(host);
}

/** The names under which requests reach a listener without anybody having listed them. */
function ownHosts(host: string): readonly string[] {
  if (WILDCARD_HOSTS.has(host)) return LOOPBACK_NAMES;
  const name = host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
  return isLoopbackHost(host) ? [...LOOPBACK_NAMES, name] : [name];
}

function withoutPort(host: string): string {
  return host.replace(/:\d{1,5}$/, "");
}

function refuseRepeatedHeaders(rawHeaders: readonly string[]): void {
  let seen: string[] | undefined;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]?.toLowerCase() ?? "";
    if (!SINGLE_HEADERS.has(name) && !name.startsWith(PROTOCOL_HEADER_PREFIX)) continue;
    if (seen?.includes(name) === true) {
      throw new VmcpError("invalid_request", `The header ${name} stands twice`);
    }
    (seen ??= []).push(name);
  }
}
