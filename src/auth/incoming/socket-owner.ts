import { endianness } from "node:os";
import ipaddr from "ipaddr.js";

/** Both ends of a TCP connection, seen from here. */
export interface SocketAddresses {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  readonly localPort?: number | undefined;
}

/**
 * Linux: the number of the line, both addresses, the state, three more columns, and then the user id that owns the
 * socket. Established connections of a process only (01, with an inode): one that was let go of shows user 0.
 */
const LINE =
  /^ *\d+: (?<own>[0-9A-F]+:[0-9A-F]{4}) (?<peer>[0-9A-F]+:[0-9A-F]{4}) 01 \S+ \S+ \S+ +(?<uid>\d+) +\d+ [1-9]/gm;

/**
 * Which user owns the other end of a connection within this machine, by the system's table of sockets. Undefined
 * where there is no such table, `nobody` where the connection does not stand in it: then it comes from elsewhere.
 */
export function ownerOfPeer(
  { remoteAddress, remotePort, localPort }: SocketAddresses,
  readTable: (name: "tcp" | "tcp6") => string | undefined,
): number | "nobody" | undefined {
  const tables = [readTable("tcp"), readTable("tcp6")].filter((table) => table !== undefined);
  if (tables.length === 0) return undefined;
  if (remoteAddress === undefined || !ipaddr.isValid(remoteAddress)) return "nobody";
  const ends = new Set(
    addressForms(remoteAddress).map((address) => `${address}:${portText(remotePort)}`),
  );
  const ownPort = `:${portText(localPort)}`;
  for (const table of tables) {
    for (const { groups = {} } of table.matchAll(LINE)) {
      if (!ends.has(groups["own"] ?? "") || groups["peer"]?.endsWith(ownPort) !== true) continue;
      return Number(groups["uid"]);
    }
  }
  return "nobody";
}

/** As the tables write it: 32-bit words in the byte order of the machine, IPv4 also within IPv6. */
function addressForms(text: string): readonly string[] {
  const address = ipaddr.process(text);
  if (address instanceof ipaddr.IPv6) return [wordsText(address.toByteArray())];
  const mapped = address.toIPv4MappedAddress().toByteArray();
  return [wordsText(address.toByteArray()), wordsText(mapped)];
}

function wordsText(bytes: readonly number[]): string {
  const words = Buffer.from(bytes);
  if (endianness() === "LE") words.swap32();
  return words.toString("hex").toUpperCase();
}

function portText(port = 0): string {
  return port.toString(16).toUpperCase().padStart(4, "0");
}
