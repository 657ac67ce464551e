import type { IncomingMessage } from "node:http";
import ipaddr from "ipaddr.js";

/** What a proxy adds on the way: the address of the connection is its own then. */
const FORWARDING_HEADERS = ["forwarded", "x-forwarded-for", "x-real-ip", "via"] as const;

/** What a request for `/status` adds to be told digests of the configuration as well. */
const DIGESTS_QUERY = "?config";

/** Whether digests of the configuration are asked for, and by a program that may have them. */
export function asksForDigests(request: IncomingMessage): boolean {
  return request.url?.endsWith(DIGESTS_QUERY) === true && isLocalRequest(request);
}

/** Whether a program on this very machine asks, as far as that can be told. */
export function isLocalRequest({ socket, headers }: IncomingMessage): boolean {
  const { remoteAddress = "" } = socket;
  if (FORWARDING_HEADERS.some((name) => headers[name] !== undefined)) return false;
  return ipaddr.isValid(remoteAddress) && ipaddr.process(remoteAddress).range() === "loopback";
}
