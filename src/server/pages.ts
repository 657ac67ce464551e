import type { IncomingMessage, ServerResponse } from "node:http";
import type { Identity } from "../domain/identity.ts";
import type { JsonObject } from "../domain/json.ts";

/** Serves one method of one path to whoever `identity` is. Whatever it throws is answered by the caller. */
export type Handler = (
  request: IncomingMessage,
  response: ServerResponse,
  identity: Identity,
) => Promise<void> | void;

/** A small JSON page for machines and people; 503 while `isFine` says no. */
export function page(
  content: (request: IncomingMessage) => JsonObject,
  isFine: () => boolean = () => true,
): ReadonlyMap<string, Handler> {
  const handler: Handler = (request, response) => {
    const body = Buffer.from(`${JSON.stringify(content(request))}\n`);
    response
      .writeHead(isFine() ? 200 : 503, {
        "content-type": "application/json",
        "content-length": body.length,
        "cache-control": "no-store",
      })
      .end(body);
  };
  return new Map([
    ["GET", handler],
    ["HEAD", handler],
  ]);
}
