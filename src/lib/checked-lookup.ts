import { lookup as systemLookup } from "node:dns";
import type { LookupFunction } from "node:net";
import ipaddr from "ipaddr.js";

/** The `code` of the error with which a lookup refuses every address that a name leads to. */
export const ADDRESS_REFUSED = "ERR_ADDRESS_REFUSED";

/**
 * A lookup for the sockets to one host, which refuses what a name must not come to lead to.
 *
 * Link-local addresses are never handed out: clouds answer requests for credentials there. A name that once led out
 * of the private networks never leads into them again, so that whoever owns the name cannot turn a backend
 * into a way to what is inside; one that led inside from the start may go on doing so. What is checked here is what is
 * dialled. Fails with `ADDRESS_REFUSED` where nothing is left. With `mayLeadInside: false` no name ever leads into a
 * private network. A host that is an address itself is never looked up: ask `isRefusedAddress` about those.
 */
export function createCheckedLookup(
  resolve: LookupFunction = systemLookup,
  { mayLeadInside = true }: { readonly mayLeadInside?: boolean } = {},
): LookupFunction {
  let hasLedOutside = !mayLeadInside;
  return (host, options, callback) => {
    resolve(host, { ...options, all: true }, (error, found) => {
      if (error !== null) {
        callback(error, "");
        return;
      }
      const addresses = typeof found === "string" ? [toEntry(found)] : found;
      hasLedOutside ||= addresses.some(({ address }) => placeOf(address) === "outside");
      const allowed = addresses.filter(({ address }) => {
        const place = placeOf(address);
        return place === "outside" || (place === "inside" && !hasLedOutside);
      });
      const [first] = allowed;
      if (first === undefined) callback(refusal(host), "");
      else if (options.all === true) callback(null, allowed);
      else callback(null, first.address, first.family);
    });
  };
}

/** Whether a host, as `URL.hostname` gives it, is an address that must not be dialled. Names are not. */
export function isRefusedAddress(urlHost: string, mayLeadInside: boolean): boolean {
  const host = urlHost.replace(/^\[(.*)\]$/, "$1");
  if (!ipaddr.isValid(host)) return false;
  const place = placeOf(host);
  return place === "forbidden" || (place === "inside" && !mayLeadInside);
}

type Place = "inside" | "outside" | "forbidden";

/** By the ranges of `ipaddr.js`. The unspecified address reaches this very machine. */
const INSIDE_RANGES: ReadonlySet<string> = new Set([
  "loopback",
  "private",
  "uniqueLocal",
  "carrierGradeNat",
  "unspecified",
]);

/** Where clouds answer requests for credentials although the address is not link-local. */
const METADATA_ADDRESSES: ReadonlySet<string> = new Set(["100.100.100.200", "fd00:ec2::254"]);

function placeOf(text: string): Place {
  // What a resolver gives is an address, at times with the name of an interface behind it.
  const address = unwrap(ipaddr.process(text));
  if (METADATA_ADDRESSES.has(address.toString())) return "forbidden";
  const range: string = address.range();
  if (range === "linkLocal") return "forbidden";
  return INSIDE_RANGES.has(range) ? "inside" : "outside";
}

/** The IPv4 address that a translated or tunnelled IPv6 address stands for. */
function unwrap(address: ipaddr.IPv4 | ipaddr.IPv6): ipaddr.IPv4 | ipaddr.IPv6 {
  if (address instanceof ipaddr.IPv4) return address;
  const range = address.range();
  const bytes = address.toByteArray();
  if (range === "rfc6052") return new ipaddr.IPv4(bytes.slice(12));
  if (range === "6to4") return new ipaddr.IPv4(bytes.slice(2, 6));
  return address;
}

function toEntry(address: string): { readonly address: string; readonly family: number } {
  return { address, family: ipaddr.IPv4.isIPv4(address) ? 4 : 6 };
}

function refusal(host: string): NodeJS.ErrnoException {
  const message = `${host} leads to an address that it must not lead to`;
  return Object.assign(new Error(message), { code: ADDRESS_REFUSED });
}
