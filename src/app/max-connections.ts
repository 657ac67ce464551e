import { readFileSync } from "node:fs";

/** What is left for files, children's pipes and backends' sockets. */
const RESERVED_DESCRIPTORS = 64;

/** Client connections take this part of the rest. */
const CLIENT_SHARE = 0.7;

/** Where the limit cannot be read; generous, because most systems allow far more. */
const FALLBACK_DESCRIPTORS = 1_024;

/**
 * How many client connections to take: past the number of descriptors a process may open, new clients would
 * hang without an error instead of being refused.
 */
export function defaultMaxConnections(): number {
  return Math.max(8, Math.floor((openFileLimit() - RESERVED_DESCRIPTORS) * CLIENT_SHARE));
}

function openFileLimit(): number {
  try {
    const limits = readFileSync("/proc/self/limits", "utf8");
    const soft = /^Max open files\s+(?<soft>\d+)/m.exec(limits)?.groups?.["soft"];
    return soft === undefined ? FALLBACK_DESCRIPTORS : Number(soft);
  } catch {
    // Only Linux has this file.
    return FALLBACK_DESCRIPTORS;
  }
}
