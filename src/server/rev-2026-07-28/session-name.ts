import type { IncomingMessage } from "node:http";
import { VmcpError } from "../../domain/errors.ts";

const NAME = /^[A-Za-z0-9._-]{1,64}$/;

/** Between the path of the endpoint and the name of a session. */
const SEGMENT = "/s/";

/** Whether a path is that of a named session below the endpoint at `base`. */
export function isNamedPath(path: string, base: string): boolean {
  return nameIn(path, base) !== undefined;
}

/**
 * The name that a client gave its session, by the path (`/mcp/s/NAME`) or by the header `Mcp-Session-Name`; "" where
 * it gave none. Throws `invalid_request` for a header that is no name, or that says something else than the path.
 */
export function sessionNameOf({ url = "", headers }: IncomingMessage, base: string): string {
  const inPath = nameIn(withoutQuery(url), base);
  const inHeader = headers["mcp-session-name"];
  if (inHeader === undefined) return inPath ?? "";
  if (typeof inHeader !== "string" || !NAME.test(inHeader)) {
    throw new VmcpError(
      "invalid_request",
      "The Mcp-Session-Name header must be 1 to 64 letters, digits, dots, dashes or underscores",
    );
  }
  if (inPath !== undefined && inPath !== inHeader) {
    throw new VmcpError("invalid_request", "The path and Mcp-Session-Name name two sessions");
  }
  return inHeader;
}

function nameIn(path: string, base: string): string | undefined {
  if (!path.startsWith(base) || !path.startsWith(SEGMENT, base.length)) return undefined;
  const name = path.slice(base.length + SEGMENT.length);
  return NAME.test(name) ? name : undefined;
}

function withoutQuery(url: string): string {
  const query = url.indexOf("?");
  return query === -1 ? url : url.slice(0, query);
}
