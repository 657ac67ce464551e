import type { Readable } from "node:stream";
import type { BackendSettings } from "../options.ts";

const MAX_LINE_BYTES = 8_192;
const KEPT_LINES = 5;

/**
 * Reads a child's stderr to the end, so that the child never blocks on it: each line goes to the log, and the
 * last few are kept to explain a start that failed. A line that is too long is cut.
 */
export class StderrTail {
  readonly #settings: BackendSettings;
  readonly #kept: string[] = [];
  #partial = "";

  constructor(stream: Readable, settings: BackendSettings) {
    this.#settings = settings;
    stream.setEncoding("utf8");
    stream.on("data", (text: string) => this.#push(text));
    stream.on("end", () => this.#emit(this.#partial));
    stream.on("error", () => {});
  }

  /** The last lines, oldest first. For logs and causes only: a program may print secrets. */
  get lines(): readonly string[] {
    return this.#kept;
  }

  #push(text: string): void {
    const lines = `${this.#partial}${text}`.split("\n");
    // Of an endless line only what can be shown is held.
    this.#partial = (lines.pop() ?? "").slice(0, MAX_LINE_BYTES);
    for (const line of lines) this.#emit(line);
  }

  #emit(text: string): void {
    const line = text.trimEnd().slice(0, MAX_LINE_BYTES);
    if (line === "") return;
    this.#kept.push(line);
    if (this.#kept.length > KEPT_LINES) this.#kept.shift();
    this.#settings.logger.debug("backend stderr", { backend: this.#settings.name, line });
  }
}
