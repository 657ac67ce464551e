import ipaddr from "ipaddr.js";

/** Where clouds answer requests for instance credentials although the address is not link-local. */
const METADATA_HOSTS: ReadonlySet<string> = new Set([
  "metadata.google.internal",
  "metadata",
  "instance-data",
  "100.100.100.200",
  "fd00:ec2::254",
]);

const PRIVATE_RANGES: ReadonlySet<string> = new Set([
  "loopback",
  "private",
  "uniqueLocal",
  "carrierGradeNat",
]);

const PRIVATE_SUFFIXES = [".localhost", ".local", ".internal", ".svc", ".home.arpa"] as const;

/** How a network address may be used as the address of a backend. */
export type AddressKind = "private" | "public" | "refused";

/**
 * Classes the host of a WHATWG URL: `private` for loopback, private ranges and names that only resolve
 * inside a network, `refused` for link-local, metadata and special-purpose addresses, else `public`. IPv4
 * written inside IPv6 counts as that IPv4. Names are judged by their text; what they resolve to is not asked.
 */
export function classifyHost(urlHost: string): AddressKind {
  const host = urlHost
    .replace(/^\[(.*)\]$/, "$1")
    .replace(/\.$/, "")
    .toLowerCase();
  if (METADATA_HOSTS.has(host)) return "refused";
  if (ipaddr.isValid(host)) return classifyAddress(host);
  const isPrivateName =
    !host.includes(".") || PRIVATE_SUFFIXES.some((suffix) => host.endsWith(suffix));
  return isPrivateName ? "private" : "public";
}

/** Whether only programs on this machine can reach a listener bound to `host`. */
export function isLoopbackHost(host: string): boolean {
  const name = host.replace(/^\[(.*)\]$/, "$1").toLowerCase();
  if (name === "localhost") return true;
  return ipaddr.isValid(name) && ipaddr.process(name).range() === "loopback";
}

/** What is wrong with a text as the URL of a backend or token endpoint, or undefined. Never quotes the URL. */
export function httpUrlFault(text: string): string | undefined {
  if (!URL.canParse(text)) return "is not a URL; write for example https://example.com/mcp";
  const url = new URL(text);
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    return "must begin with https:// or http://";
  }
  if (url.username !== "" || url.password !== "") {
    return "must not hold a user name or password; send credentials in a header instead";
  }
  if (classifyHost(url.hostname) === "refused") {
    return "points at a link-local, metadata or otherwise special address, which is never a backend";
  }
  return undefined;
}

/** Whether a URL sends what it carries in clear text over a network that strangers share. */
export function isExposedHttp(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  return url.protocol === "http:" && classifyHost(url.hostname) === "public";
}

function classifyAddress(text: string): AddressKind {
  const range: string = ipaddr.process(text).range();
  if (PRIVATE_RANGES.has(range)) return "private";
  return range === "unicast" ? "public" : "refused";
}
