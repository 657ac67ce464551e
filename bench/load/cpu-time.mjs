// What /proc tells of processes. On other systems nothing is known, and the figures are dashes.
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** Microseconds on a CPU of a process and its threads; undefined where /proc does not tell. */
export function cpuMicros(pid) {
  return scheduled(pid, 0);
}

/** Microseconds for which they were ready to run and had no CPU. */
export function waitedMicros(pid) {
  return scheduled(pid, 1);
}

/** The process and all its descendants, but those whose command line has `without` in it and what they started. */
export function treeOf(pid, without) {
  try {
    const children = textOf(`/proc/${pid}/task/${pid}/children`)
      .split(" ")
      .filter(Boolean)
      .map(Number);
    const counted = children.filter((child) => !isNamed(child, without));
    return [pid, ...counted.flatMap((child) => treeOf(child, without))];
  } catch {
    return [];
  }
}

function isNamed(pid, text) {
  return text !== undefined && textOf(`/proc/${pid}/cmdline`).includes(text);
}

/** Sockets among the open descriptors of a process. */
export function socketsOf(pid) {
  return linksOf(pid).filter((target) => target.startsWith("socket:")).length;
}

/** The process that listens on a port of this machine; undefined if it is not ours to see. */
export function listenerOn(port) {
  const inode = ["/proc/net/tcp", "/proc/net/tcp6"]
    .map((file) => inodeIn(file, port))
    .find(Boolean);
  if (inode === undefined) return undefined;
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map(Number).find((pid) => linksOf(pid).includes(`socket:[${inode}]`));
}

const LISTENING = "0A";

function inodeIn(file, port) {
  const hexPort = port.toString(16).toUpperCase().padStart(4, "0");
  try {
    const rows = textOf(file).split("\n").slice(1);
    const columns = rows.map((row) => row.trim().split(/\s+/));
    return columns.find((row) => row[1]?.endsWith(`:${hexPort}`) && row[3] === LISTENING)?.[9];
  } catch {
    return undefined;
  }
}

function linksOf(pid) {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
      } catch {
        return [];
      }
    });
  } catch {
    return [];
  }
}

function scheduled(pid, field) {
  try {
    const nanos = readdirSync(`/proc/${pid}/task`).map((thread) =>
      Number(textOf(`/proc/${pid}/task/${thread}/schedstat`).split(" ")[field]),
    );
    return nanos.reduce((sum, each) => sum + each, 0) / 1000;
  } catch {
    return undefined;
  }
}

function textOf(path) {
  return readFileSync(path, "latin1");
}
