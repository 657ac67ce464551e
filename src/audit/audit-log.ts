import { messageOf } from "../domain/errors.ts";
import type { Logger } from "../domain/logger.ts";
import type { LineFile } from "./line-file.ts";

/** A time in which nothing could be written. */
export interface Interruption {
  readonly sinceMs: number;
  /** The system's code for it, such as `ENOSPC`. */
  readonly reason: string;
  /** What was refused because it could not have been recorded. */
  readonly refused: number;
  /** Records that are gone for good. */
  readonly lost: number;
}

export interface AuditLogOptions {
  readonly file: LineFile;
  readonly logger: Logger;
  /** The record that stands where an interruption ends. */
  readonly resumed: (interruption: Interruption) => string;
  /** Between two attempts to write again. Default 1 s. */
  readonly retryMs?: number;
  /** How much may wait for that. Default 1 MiB, enough for the ends of all calls in flight. */
  readonly maxKeptBytes?: number;
}

const RETRY_MS = 1_000;
const MAX_KEPT_BYTES = 1024 * 1024;

/**
 * Lines in the order in which they were given, each written whole before the call returns.
 *
 * When writing fails, what may wait is kept up to a bound, and tried again by itself until it works: then everything
 * kept is written, and a line about the interruption after it. The operator is told at both ends, and not between.
 */
export class AuditLog implements Disposable {
  readonly #options: AuditLogOptions;
  readonly #kept: Buffer[] = [];
  #keptBytes = 0;
  #interruption: Interruption | undefined;
  #timer: NodeJS.Timeout | undefined;
  #refusedEver = 0;
  #lostEver = 0;
  #isClosed = false;

  constructor(options: AuditLogOptions) {
    this.#options = options;
  }

  get interruption(): Interruption | undefined {
    return this.#interruption;
  }

  /** Since the start. */
  get refused(): number {
    return this.#refusedEver;
  }

  /** Since the start. */
  get lost(): number {
    return this.#lostEver;
  }

  /** Finds out whether lines can be written before there is one. */
  start(): void {
    try {
      this.#options.file.write(Buffer.alloc(0));
    } catch (error) {
      this.#interrupted(error);
    }
  }

  /**
   * Writes a line now or not at all. `torn`: the file took a part of it and gets the rest as soon as it takes more,
   * so that something has to follow which says what became of it.
   */
  tryAppend(line: string): "written" | "refused" | "torn" {
    if (this.#interruption !== undefined || this.#isClosed) return "refused";
    const bytes = Buffer.from(line);
    const rest = this.#write(bytes);
    if (rest === undefined) return "written";
    if (rest.length === bytes.length) return "refused";
    this.#keepRest(rest);
    return "torn";
  }

  /** Writes a line as soon as that can be done. It is lost where too much is kept already. */
  append(line: string): void {
    const bytes = Buffer.from(line);
    const isWritable = this.#interruption === undefined && !this.#isClosed;
    const rest = isWritable ? this.#write(bytes) : bytes;
    if (rest === undefined) return;
    if (rest.length < bytes.length) this.#keepRest(rest);
    else this.#keep(rest);
  }

  /** Counts something that was not done because it could not have been recorded. */
  noteRefused(): void {
    this.#refusedEver += 1;
    const interruption = this.#interruption;
    if (interruption === undefined) return;
    this.#interruption = { ...interruption, refused: interruption.refused + 1 };
  }

  /** Tries once more where something is kept, and tells the operator what is lost for good. Safe to repeat. */
  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    if (this.#interruption !== undefined) this.#retry();
    this.#isClosed = true;
    clearInterval(this.#timer);
    const lost = this.#lostEver + this.#kept.length;
    if (lost > 0) this.#options.logger.error("audit records were lost", { lost });
    this.#options.file[Symbol.dispose]();
  }

  /** What could not be written; undefined where nothing is left. */
  #write(bytes: Buffer): Buffer | undefined {
    let rest = bytes;
    try {
      while (rest.length > 0) {
        const taken = this.#options.file.write(rest);
        if (taken === 0) throw new Error("nothing was written");
        rest = rest.subarray(taken);
      }
      return undefined;
    } catch (error) {
      this.#interrupted(error);
      return rest;
    }
  }

  #interrupted(error: unknown): void {
    if (this.#interruption !== undefined) return;
    const reason = codeOf(error);
    const file = this.#options.file.name;
    this.#interruption = { sinceMs: Date.now(), reason, refused: 0, lost: 0 };
    this.#options.logger.error("the audit log cannot be written", { reason, file });
    this.#timer = setInterval(() => this.#retry(), this.#options.retryMs ?? RETRY_MS).unref();
  }

  #keep(bytes: Buffer): void {
    const { maxKeptBytes = MAX_KEPT_BYTES } = this.#options;
    if (this.#isClosed || this.#keptBytes + bytes.length > maxKeptBytes) {
      this.#lostEver += 1;
      const interruption = this.#interruption;
      if (interruption === undefined) return;
      this.#interruption = { ...interruption, lost: interruption.lost + 1 };
      return;
    }
    this.#kept.push(bytes);
    this.#keptBytes += bytes.length;
  }

  /** A part of the line is there already: whatever its size, the rest comes before anything else. */
  #keepRest(rest: Buffer): void {
    this.#kept.push(rest);
    this.#keptBytes += rest.length;
  }

  #retry(): void {
    const interruption = this.#interruption;
    if (interruption === undefined || !this.#hasWrittenKept()) return;
    const line = Buffer.from(this.#options.resumed(interruption));
    const rest = this.#write(line);
    if (rest !== undefined) {
      if (rest.length < line.length) this.#keepRest(rest);
      return;
    }
    clearInterval(this.#timer);
    this.#interruption = undefined;
    const { refused, lost } = interruption;
    this.#options.logger.warn("the audit log is written again", { refused, lost });
  }

  #hasWrittenKept(): boolean {
    for (let first = this.#kept[0]; first !== undefined; first = this.#kept[0]) {
      const rest = this.#write(first);
      this.#keptBytes -= first.length - (rest?.length ?? 0);
      if (rest !== undefined) {
        this.#kept[0] = rest;
        return false;
      }
      this.#kept.shift();
    }
    return true;
  }
}

/** The text of such an error names the file, which everybody would see who may see the status. */
function codeOf(error: unknown): string {
  const code: unknown = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : messageOf(error);
}
