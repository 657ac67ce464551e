import type { IncomingMessage, ServerResponse } from "node:http";
import { CALLBACK_PATH, START_PATH, type SignIns } from "../auth/outgoing/sign-in/sign-ins.ts";
import { VmcpError } from "../domain/errors.ts";
import { isSameIdentity, type Identity } from "../domain/identity.ts";
import type { Logger } from "../domain/logger.ts";
import type { Handler } from "../server/pages.ts";
import type { EdgeSession } from "../session/edge-session.ts";

/** A browser that a sign-in was begun in keeps what it needs to finish it under such names. */
const COOKIE_PREFIX = "vmcp-sign-in-";
const COOKIE_NAME_LENGTH = 8;
const COOKIE_SECONDS = 600;

/** The pages for users who sign in to a backend: the link that they are given, and where they come back to. */
export function signInRoutes(
  signIns: SignIns,
  logger: Logger,
): ReadonlyMap<string, ReadonlyMap<string, Handler>> {
  const start: Handler = async (request, response) => {
    const begun = await signIns.begin(queryOf(request).get("ticket") ?? "");
    if (begun === undefined) {
      writePage(response, 404, "This link is not one, or has been used. Ask for another.");
      return;
    }
    const name = `${COOKIE_PREFIX}${begun.ticket.slice(0, COOKIE_NAME_LENGTH)}`;
    const attributes = `HttpOnly; SameSite=Lax; Path=/; Max-Age=${String(COOKIE_SECONDS)}`;
    const secure = begun.isSecure ? "; Secure" : "";
    response.setHeader("set-cookie", `${name}=${begun.browserKey}; ${attributes}${secure}`);
    response.writeHead(302, { ...PAGE_HEADERS, location: begun.url }).end();
  };
  const callback: Handler = async (request, response) => {
    try {
      const backend = await signIns.finish(queryOf(request), cookiesOf(request));
      writePage(response, 200, `You are signed in to ${backend}. You can close this window.`);
    } catch (thrown) {
      const error = VmcpError.from(thrown);
      logger.warn("a sign-in to a backend did not work", { reason: reasonOf(error) });
      writePage(response, 400, error.message);
    }
  };
  return new Map([
    [START_PATH, new Map([["GET", start]])],
    [CALLBACK_PATH, new Map([["GET", callback]])],
  ]);
}

/** What a user's sessions had to do without for want of a sign-in, they try again. */
export function retryFor(sessions: readonly EdgeSession[], identity: Identity): void {
  for (const session of sessions) {
    if (!isSameIdentity(session.identity, identity)) continue;
    for (const { name } of session.backends()) session.retry(name);
  }
}

function queryOf({ url = "" }: IncomingMessage): URLSearchParams {
  const query = url.indexOf("?");
  return new URLSearchParams(query === -1 ? "" : url.slice(query + 1));
}

function cookiesOf({ headers }: IncomingMessage): readonly string[] {
  return (headers.cookie ?? "").split(";").flatMap((cookie) => {
    const [name = "", value = ""] = cookie.trim().split("=");
    return name.startsWith(COOKIE_PREFIX) ? [value] : [];
  });
}

/** Of what somebody else said nothing is shown: it could be made to say anything. */
function reasonOf({ cause, message }: VmcpError): string {
  return cause instanceof VmcpError ? cause.message : message;
}

const PAGE_HEADERS = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
} as const;

/** Text and no more: nothing in it is ever markup. */
function writePage(response: ServerResponse, status: number, text: string): void {
  const body = Buffer.from(`${text}\n`);
  response
    .writeHead(status, {
      ...PAGE_HEADERS,
      "content-type": "text/plain; charset=utf-8",
      "content-length": body.length,
    })
    .end(body);
}
