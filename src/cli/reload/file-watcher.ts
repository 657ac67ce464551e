import {
  type BigIntStats,
  type FSWatcher,
  lstatSync,
  readlinkSync,
  realpathSync,
  statSync,
  watch,
} from "node:fs";
import { dirname, resolve } from "node:path";
import { messageOf } from "../../domain/errors.ts";
import type { Logger } from "../../domain/logger.ts";

export interface FileWatcherOptions {
  readonly path: string;
  /** Called after the file has changed or was replaced and then left alone for a moment. */
  readonly onChange: () => void;
  readonly logger: Logger;
}

/** Editors and copying tools write in several steps; the file is looked at when they have come to rest. */
const REST_MS = 100;

/** Where a folder is never at rest, the file is looked at nevertheless. */
const MAX_WAIT_MS = 1_000;

/** How often a file is looked at where the system refuses to watch it. */
const POLL_MS = 2_000;

/** No chain of symbolic links that leads anywhere is longer. */
const MAX_LINKS = 40;

/**
 * Tells when a file changes, in whichever way: written in place, replaced by a rename, or reached through a
 * symbolic link that now points elsewhere, as mounted configuration does. Never keeps the process running.
 */
export class FileWatcher implements Disposable {
  readonly #options: FileWatcherOptions;
  readonly #watchers = new Map<string, FSWatcher>();
  #seen: string;
  #restTimer: NodeJS.Timeout | undefined;
  #pollTimer: NodeJS.Timeout | undefined;
  #firstEventAtMs: number | undefined;
  #isClosed = false;

  constructor(options: FileWatcherOptions) {
    this.#options = options;
    this.#seen = signatureOf(options.path);
    this.#arm();
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    clearTimeout(this.#restTimer);
    clearInterval(this.#pollTimer);
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  /** Watches the folder of the file and of every link on the way to it; those that were left are let go. */
  #arm(): void {
    const folders = foldersOf(this.#options.path);
    for (const [key, watcher] of this.#watchers) {
      if (folders.has(key)) continue;
      watcher.close();
      this.#watchers.delete(key);
    }
    if (folders.size === 0) this.#poll(new Error("its folder does not exist"));
    for (const [key, folder] of folders) {
      if (!this.#watchers.has(key)) this.#watch(key, folder);
    }
  }

  #watch(key: string, folder: string): void {
    try {
      const watcher = watch(folder, { persistent: false }, () => this.#stirred());
      watcher.on("error", (error) => {
        watcher.close();
        this.#watchers.delete(key);
        this.#poll(error);
      });
      this.#watchers.set(key, watcher);
    } catch (error) {
      this.#poll(error);
    }
  }

  #poll(error: unknown): void {
    if (this.#pollTimer !== undefined || this.#isClosed) return;
    this.#options.logger.warn(
      "the configuration cannot be watched; it is looked at from time to time",
      {
        reason: messageOf(error),
      },
    );
    this.#pollTimer = setInterval(() => this.#look(), POLL_MS).unref();
  }

  #stirred(): void {
    const nowMs = performance.now();
    this.#firstEventAtMs ??= nowMs;
    const waitMs = Math.min(REST_MS, this.#firstEventAtMs + MAX_WAIT_MS - nowMs);
    clearTimeout(this.#restTimer);
    this.#restTimer = setTimeout(() => this.#look(), Math.max(0, waitMs)).unref();
  }

  #look(): void {
    this.#firstEventAtMs = undefined;
    if (this.#isClosed) return;
    this.#arm();
    const now = signatureOf(this.#options.path);
    // A file that is missing for a moment is about to be replaced.
    if (now === "" || now === this.#seen) return;
    this.#seen = now;
    this.#options.onChange();
  }
}

/** Differs when the file was written, touched or replaced; empty while there is none. */
function signatureOf(path: string): string {
  const stats = statsOf(path);
  if (stats === undefined) return "";
  return [stats.dev, stats.ino, stats.size, stats.mtimeNs, stats.ctimeNs].join(" ");
}

/** By what tells them apart from a folder that was put in their place. */
function foldersOf(path: string): ReadonlyMap<string, string> {
  const folders = new Map<string, string>();
  for (let link: string | undefined = path, count = 0; link !== undefined; count += 1) {
    const folder = dirname(link);
    const stats = statsOf(folder);
    if (stats !== undefined) folders.set(`${stats.dev} ${stats.ino}`, folder);
    link = count < MAX_LINKS ? targetOf(link) : undefined;
  }
  return folders;
}

/** Where a symbolic link points; undefined for anything else. */
function targetOf(path: string): string | undefined {
  try {
    if (!lstatSync(path).isSymbolicLink()) return undefined;
    return resolve(realpathSync(dirname(path)), readlinkSync(path));
  } catch {
    return undefined;
  }
}

function statsOf(path: string): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true });
  } catch {
    return undefined;
  }
}
