import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** Whether this system shows its processes under /proc, which everything below but `waitFor` needs. */
export const HAS_PROC = process.platform === "linux";

export interface WaitOptions {
  /** Fails after this long. */
  readonly timeoutMs?: number;
  readonly intervalMs?: number;
  /** Names in the error what did not come. */
  readonly what?: string;
}

/** Polls until the condition gives something truthy and returns it; fails with `what` otherwise. */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  options: WaitOptions = {},
): Promise<Exclude<T, false | null | undefined | 0 | "">> {
  const { timeoutMs = 10_000, intervalMs = 10, what = condition.toString() } = options;
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    // Each look comes after the last one: that is polling.
    // oxlint-disable-next-line no-await-in-loop
    const value = await condition();
    // Truthy is what the type says.
    if (value) return value as Exclude<T, false | null | undefined | 0 | "">;
    if (performance.now() > deadline)
      throw new Error(`not within ${timeoutMs} ms: ${what} (last: ${JSON.stringify(value)})`);
    // oxlint-disable-next-line no-await-in-loop
    await delay(intervalMs);
  }
}

export interface ProcessEntry {
  readonly pid: number;
  readonly parentPid: number;
  readonly groupId: number;
  /** As in /proc: R, S, D, T, Z … */
  readonly state: string;
  readonly name: string;
}

/** The process and all its descendants, zombies included. Empty when it is gone. */
export function processTree(pid: number): readonly ProcessEntry[] {
  const all = allProcesses();
  const grow = (parents: readonly ProcessEntry[]): readonly ProcessEntry[] => {
    const ids = new Set(parents.map((entry) => entry.pid));
    const children = all.filter((entry) => ids.has(entry.parentPid));
    return children.length === 0 ? parents : [...parents, ...grow(children)];
  };
  return grow(all.filter((entry) => entry.pid === pid));
}

export function listChildren(pid: number): readonly ProcessEntry[] {
  return allProcesses().filter((entry) => entry.parentPid === pid);
}

export function processGroup(groupId: number): readonly ProcessEntry[] {
  return allProcesses().filter((entry) => entry.groupId === groupId);
}

/** Dead descendants that nobody has waited for. */
export function zombiesOf(pid: number): readonly ProcessEntry[] {
  return processTree(pid).filter((entry) => entry.state === "Z");
}

/** Whether the process exists and is not a zombie. */
export function isRunning(pid: number): boolean {
  const entry = readProcess(String(pid));
  return entry !== undefined && entry.state !== "Z";
}

/**
 * Every running process whose environment has this `NAME=value`. Finds what has lost its parent: mark the process that a
 * test starts and look for what carries the mark afterwards.
 */
export function processesWithEnv(name: string, value: string): readonly ProcessEntry[] {
  return allProcesses().filter(({ pid }) =>
    readText(`/proc/${pid}/environ`).split("\0").includes(`${name}=${value}`),
  );
}

export interface OpenSocket {
  /** Dotted for IPv4; IPv6 is left as the kernel writes it, in hexadecimal. */
  readonly localAddress: string;
  readonly localPort: number;
  /** 0 for one that listens. */
  readonly remotePort: number;
  readonly state: "established" | "listening" | "closing";
}

/** The TCP sockets that the process holds now. Pipes and local sockets, such as those to its children, are left out. */
export function openSockets(pid: number): readonly OpenSocket[] {
  const inodes = socketInodes(pid);
  const tables = ["tcp", "tcp6"].map((table) => readText(`/proc/${pid}/net/${table}`));
  return tables
    .flatMap((table) => table.split("\n").slice(1))
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => inodes.has(fields[INODE_FIELD] ?? ""))
    .map((fields) => ({
      localAddress: addressOf(fields[1]),
      localPort: portOf(fields[1]),
      remotePort: portOf(fields[2]),
      state: stateOf(fields[3]),
    }));
}

/** How many file descriptors the process holds, of any kind. */
export function openDescriptors(pid: number): number {
  return readNames(`/proc/${pid}/fd`).length;
}

/** Where /proc/net/tcp has the inode, counted in fields. */
const INODE_FIELD = 9;

function allProcesses(): readonly ProcessEntry[] {
  return readNames("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => readProcess(pid) ?? []);
}

function readProcess(pid: string): ProcessEntry | undefined {
  const stat = readText(`/proc/${pid}/stat`);
  // The name is in parentheses and may hold any character, so the last one ends it.
  const nameEnd = stat.lastIndexOf(")");
  if (nameEnd < 0) return undefined;
  const [state = "", parentPid, groupId] = stat.slice(nameEnd + 2).split(" ");
  return {
    pid: Number(pid),
    parentPid: Number(parentPid),
    groupId: Number(groupId),
    state,
    name: stat.slice(stat.indexOf("(") + 1, nameEnd),
  };
}

function socketInodes(pid: number): ReadonlySet<string> {
  const links = readNames(`/proc/${pid}/fd`).map((fd) => readLink(`/proc/${pid}/fd/${fd}`));
  return new Set(links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []));
}

/** The kernel writes IPv4 addresses as one number whose lowest byte comes first. */
function addressOf(address: string | undefined): string {
  const hex = address?.split(":")[0] ?? "";
  if (hex.length !== 8) return hex;
  const bytes = [...Buffer.from(hex, "hex")];
  return bytes.toReversed().join(".");
}

function portOf(address: string | undefined): number {
  return Number.parseInt(address?.split(":")[1] ?? "0", 16);
}

function stateOf(code: string | undefined): OpenSocket["state"] {
  if (code === "01") return "established";
  return code === "0A" ? "listening" : "closing";
}

/** Processes end while one looks: what is gone reads as empty. */
function readText(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}

function readNames(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function readLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
