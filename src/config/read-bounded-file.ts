import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";

/** Reads a text file of at most `maxBytes`; throws an `Error` whose message says what is wrong with it. */
export type ReadFile = (path: string, maxBytes: number) => string;

const CHUNK_BYTES = 64 * 1024;

const REASONS = new Map([
  ["ENOENT", "does not exist"],
  ["EACCES", "is not readable for this user"],
  ["EPERM", "is not readable for this user"],
  ["ENOTDIR", "does not exist: part of its path is not a directory"],
  ["ELOOP", "is a loop of symbolic links"],
  ["ENAMETOOLONG", "has a name that is too long"],
  ["ENXIO", "is not a regular file"],
]);

/**
 * Reads a regular file as UTF-8 text, without its byte order mark.
 *
 * Directories, FIFOs and devices are refused without waiting for them, and so is a file that is larger than
 * `maxBytes` or grows beyond it while it is read.
 */
export function readBoundedFile(path: string, maxBytes: number): string {
  const descriptor = openWithoutWaiting(path);
  try {
    const stats = fstatSync(descriptor);
    if (stats.isDirectory()) throw new Error("is a directory; name a file");
    if (!stats.isFile()) throw new Error("is not a regular file");
    return decode(readAll(descriptor, maxBytes));
  } finally {
    closeSync(descriptor);
  }
}

function openWithoutWaiting(path: string): number {
  try {
    // Opening a FIFO that nobody writes to would otherwise block for ever.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (thrown) {
    const code =
      thrown instanceof Error && "code" in thrown ? String(thrown.code) : "unknown error";
    throw new Error(REASONS.get(code) ?? `cannot be read (${code})`, { cause: thrown });
  }
}

function readAll(descriptor: number, maxBytes: number): Buffer {
  const chunks: Buffer[] = [];
  let total = 0;
  for (;;) {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    const length = readSync(descriptor, chunk, 0, CHUNK_BYTES, null);
    if (length === 0) return Buffer.concat(chunks);
    total += length;
    if (total > maxBytes) throw new Error(`is larger than ${String(maxBytes)} bytes`);
    chunks.push(chunk.subarray(0, length));
  }
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (thrown) {
    throw new Error("is not UTF-8 text", { cause: thrown });
  }
}
