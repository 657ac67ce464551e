import type { IncomingMessage, ServerResponse } from "node:http";

/**
 * Writes the cross-origin headers for a listed origin, and for no other one; true if the request was a preflight and is
 * answered. Source: the Fetch standard, "CORS protocol".
 */
export function answeredCrossOrigin(
  { headers, method }: IncomingMessage,
  response: ServerResponse,
  guard: { readonly isListedOrigin: (origin: string) => boolean },
): boolean {
  const { origin } = headers;
  if (origin === undefined || !guard.isListedOrigin(origin)) return false;
  response.setHeader("access-control-allow-origin", origin);
  response.setHeader("access-control-expose-headers", "mcp-session-id, www-authenticate");
  response.setHeader("vary", "origin");
  if (method !== "OPTIONS" || headers["access-control-request-method"] === undefined) return false;
  response
    .writeHead(204, {
      "access-control-allow-methods": "GET, POST, DELETE",
      "access-control-allow-headers": allowedHeaders(headers["access-control-request-headers"]),
      "access-control-max-age": "600",
    })
    .end();
  return true;
}

const ALLOWED_HEADERS =
  "content-type, accept, authorization, x-api-key, mcp-session-id, mcp-protocol-version, last-event-id, mcp-method, mcp-name, mcp-session-name";

/** Tools name the headers that repeat their arguments, so that these are allowed as they are asked for. */
function allowedHeaders(asked = ""): string {
  const mirrored = asked
    .split(",")
    .map((name) => name.trim())
    .filter((name) => MIRRORED_HEADER.test(name));
  return [ALLOWED_HEADERS, ...mirrored].join(", ");
}

const MIRRORED_HEADER = /^mcp-param-[!#$%&'*+.^_`|~0-9a-z-]+$/i;
