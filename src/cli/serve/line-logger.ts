import type { LogFields, Logger } from "../../domain/logger.ts";
import type { LogLevel } from "../../telemetry/logger.ts";
import type { Output } from "../terminal.ts";
import { oneLine } from "../text.ts";

const LEVELS = ["debug", "info", "warn", "error", "silent"] as const satisfies readonly LogLevel[];
/** Lines that are held while something else is drawn; more than this says nothing new. */
const MAX_HELD_LINES = 200;

export interface LineLoggerOptions {
  readonly level: LogLevel;
  /** Lines that are left out because the reader learns the same in another way. */
  readonly isToldElsewhere: (fields: LogFields) => boolean;
}

/** A logger for people: one short line each, which can be held back while the terminal is being drawn on. */
export class LineLogger implements Logger {
  readonly #output: Output;
  readonly #options: LineLoggerOptions;
  #held: string[] | undefined;

  constructor(output: Output, options: LineLoggerOptions) {
    this.#output = output;
    this.#options = options;
  }

  /** Keeps the lines to itself until `release`. */
  hold(): void {
    this.#held ??= [];
  }

  /** Writes what was held, and from now on everything at once. */
  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const line of held) this.#output.write(line);
  }

  debug(message: string, fields?: LogFields): void {
    this.#log("debug", message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#log("info", message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#log("warn", message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#log("error", message, fields);
  }

  #log(level: (typeof LEVELS)[number], message: string, fields: LogFields = {}): void {
    const minimum = LEVELS.indexOf(this.#options.level);
    if (LEVELS.indexOf(level) < minimum || this.#options.isToldElsewhere(fields)) return;
    const details = Object.entries(fields)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `${name}=${JSON.stringify(value)}`);
    const line = `${oneLine([`${level}: ${message}`, ...details].join(" "))}\n`;
    if (this.#held === undefined) this.#output.write(line);
    else if (this.#held.length < MAX_HELD_LINES) this.#held.push(line);
  }
}
