import { endianness } from "node:os";
import ipaddr from "ipaddr.js";

/** Both ends of a TCP connection, seen from here. */
export interface SocketAddresses {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  readonly localAddress?: string | undefined;
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
  { remoteAddress, remotePort, localAddress, localPort }: SocketAddresses,
  readTable: (name: "tcp" | "tcp6") => string | undefined,
): number | "nobody" | undefined {
  const tables = [readTable("tcp"), readTable("tcp6")].filter((table) => table !== undefined);
  if (tables.length === 0) return undefined;
  // Several connections may begin at one port, so that only both ends together name one of them.
  const theirs = endForms(remoteAddress, remotePort);
  const ours = endForms(localAddress, localPort);
  for (const table of tables) {
    for (const { groups = {} } of table.matchAll(LINE)) {
      const { own = "", peer = "", uid } = groups;
      if (theirs.has(own) && ours.has(peer)) return Number(uid);
    }
  }
  return "nobody";
}

/** One end of a connection, in every form in which the tables may have it. */
function endForms(address = "", port = 0): ReadonlySet<string> {
  const forms = ipaddr.isValid(address) ? addressForms(address) : [];
  return new Set(forms.map((form) => `${form}:${portText(port)}`));
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

function portText(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, "0");
}
