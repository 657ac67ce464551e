import { VmcpError } from "../../domain/errors.ts";
import type { BackendSettings } from "../options.ts";
import type { OriginPools } from "./http-pools.ts";

/** Where a backend is and what every request to it carries. */
export interface Endpoint {
  /** As configured. */
  readonly url: URL;
  readonly path: string;
  readonly isTls: boolean;
  readonly pools: OriginPools;
  /** Names and values in turn: `accept` and `content-type` first, then the configured ones. */
  readonly requestHeaders: string[];
}

/** Checks what is configured, once per backend. Throws `invalid_config` naming what is wrong. */
export function toEndpoint(settings: BackendSettings): Endpoint {
  const { name, http, caBundle, timeouts, headers = {} } = settings;
  const url = parseUrl(name, settings.url);
  if (http === undefined) {
    throw new VmcpError("internal", `Backend "${name}" was given no HTTP connections`);
  }
  return {
    url,
    path: `${url.pathname}${url.search}`,
    isTls: url.protocol === "https:",
    pools: http.at(url.origin, { caBundle, connectMs: timeouts.connectMs }),
    requestHeaders: [
      "accept",
      "application/json, text/event-stream",
      "content-type",
      "application/json",
      // Compressed answers would have to be inflated under a cap; on a local network they gain nothing.
      "accept-encoding",
      "identity",
      ...Object.entries(headers).flatMap(([header, value]) => checkedHeader(name, header, value)),
    ],
  };
}

/** The headers of a request that opens a stream of events, made of those of one that carries a message. */
export function toStreamHeaders(requestHeaders: readonly string[]): string[] {
  // The first four entries are the media types of a POST.
  return ["accept", "text/event-stream", ...requestHeaders.slice(4)];
}

/** What the transport sets itself, or what would change how the message is framed. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  "accept",
  "accept-encoding",
  "connection",
  "content-length",
  "content-type",
  "expect",
  "host",
  "keep-alive",
  "last-event-id",
  "mcp-method",
  "mcp-name",
  "mcp-protocol-version",
  "mcp-session-id",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Tab, visible ASCII and the upper half of Latin-1, as HTTP/1.1 allows in field values. */
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

function parseUrl(name: string, text: string | undefined): URL {
  if (text === undefined) {
    throw new VmcpError("invalid_config", `Backend "${name}" needs a url for its transport`);
  }
  if (!URL.canParse(text)) {
    throw new VmcpError("invalid_config", `Backend "${name}": its url is not a valid URL`);
  }
  const url = new URL(text);
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new VmcpError(
      "invalid_config",
      `Backend "${name}": its url must begin with http or https`,
    );
  }
  if (url.username !== "" || url.password !== "") {
    throw new VmcpError(
      "invalid_config",
      `Backend "${name}": its url must not hold credentials; give them as a header`,
    );
  }
  return url;
}

function checkedHeader(name: string, header: string, value: string): readonly [string, string] {
  if (!HEADER_NAME.test(header) || OWN_HEADERS.has(header.toLowerCase())) {
    throw new VmcpError(
      "invalid_config",
      `Backend "${name}": ${JSON.stringify(header.slice(0, 64))} cannot be set as a header`,
    );
  }
  if (!HEADER_VALUE.test(value)) {
    throw new VmcpError(
      "invalid_config",
      `Backend "${name}": the value of header "${header}" holds characters that HTTP does not allow`,
    );
  }
  return [header.toLowerCase(), value];
}
