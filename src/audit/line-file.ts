import { closeSync, constants, fstatSync, openSync, statSync, writeSync } from "node:fs";

/** Where lines go. Nothing is buffered: what `write` took is with the operating system and survives this process. */
export interface LineFile extends Disposable {
  /** For the operator, who has to find it. */
  readonly name: string;
  /** Takes some of the bytes, from their beginning, and returns how many; throws where none can be taken. */
  write(bytes: Buffer): number;
}

/** Whether the file was moved or removed is looked at no more often than this. */
const ROTATION_CHECK_MS = 1_000;

/** Records say who did what, which is nobody's business but the operator's. */
const FILE_MODE = 0o600;

/** A pipe without a reader, or with a slow one, must not bring the whole process to a halt. */
const OPEN_FLAGS =
  constants.O_WRONLY |
  constants.O_APPEND |
  constants.O_CREAT |
  // Absent on Windows, which has no such pipes.
  (constants.O_NONBLOCK ?? 0);

/**
 * A file that is appended to. Opened at the first write, made with mode 0600 where it is not there, and opened anew
 * within a second of use after somebody moved it away, as rotation does. After a failure too.
 */
export class AppendedFile implements LineFile {
  readonly name: string;
  readonly #path: string;
  readonly #now: () => number;
  #open: OpenFile | undefined;
  #checkedAtMs = 0;

  constructor(path: string, now: () => number = () => performance.now()) {
    this.name = path;
    this.#path = path;
    this.#now = now;
  }

  write(bytes: Buffer): number {
    try {
      return writeSync(this.#current().fd, bytes);
    } catch (error) {
      // What is wrong may be wrong with this file only: the next attempt looks for it again.
      this.#close();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#close();
  }

  #current(): OpenFile {
    const nowMs = this.#now();
    if (this.#open !== undefined && nowMs - this.#checkedAtMs >= ROTATION_CHECK_MS) {
      this.#checkedAtMs = nowMs;
      if (!isAt(this.#path, this.#open)) this.#close();
    }
    if (this.#open === undefined) {
      const fd = openSync(this.#path, OPEN_FLAGS, FILE_MODE);
      const { dev, ino } = fstatSync(fd);
      this.#open = { fd, dev, ino };
      this.#checkedAtMs = nowMs;
    }
    return this.#open;
  }

  #close(): void {
    const open = this.#open;
    this.#open = undefined;
    if (open === undefined) return;
    try {
      closeSync(open.fd);
    } catch {
      // A network file system tells here what became of earlier writes; there is nothing left to do about it.
    }
  }
}

interface OpenFile {
  readonly fd: number;
  readonly dev: number;
  readonly ino: number;
}

function isAt(path: string, { dev, ino }: OpenFile): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  return found !== undefined && found.dev === dev && found.ino === ino;
}

/** How long a full pipe may take to have room again: a reader that is alive needs less. */
const PIPE_ATTEMPTS = 10;
const PIPE_WAIT_MS = 5;

/** A standard stream of this process, which stays open. */
export class StandardStream implements LineFile {
  #fd: 1 | 2;

  constructor(fd: 1 | 2) {
    this.#fd = fd;
  }

  get name(): string {
    return this.#fd === 1 ? "standard output" : "standard error";
  }

  /** Everything from now on goes to this one. */
  sendTo(fd: 1 | 2): void {
    this.#fd = fd;
  }

  write(bytes: Buffer): number {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return writeSync(this.#fd, bytes);
      } catch (error) {
        if (attempt === PIPE_ATTEMPTS || !isFull(error)) throw error;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PIPE_WAIT_MS);
      }
    }
  }

  [Symbol.dispose](): void {}
}

function isFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EAGAIN";
}
