import process from "node:process";
import type { Output } from "./terminal.ts";

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"] as const;
const FRAME_MS = 80;
const ELLIPSIS = "…";
const ESCAPE = "\u001B[";
const HIDE_CURSOR = `${ESCAPE}?25l`;
const SHOW_CURSOR = `${ESCAPE}?25h`;

/**
 * Lines at the end of an interactive output that are drawn again and again, until `stop` leaves them as they are.
 *
 * `render` is given the character to show for what is under way; its lines must not be wider than the output.
 */
export class LiveBlock {
  readonly #output: Output;
  readonly #render: (spinner: string) => readonly string[];
  readonly #timer: NodeJS.Timeout;
  /** Whatever ends the process in between must not leave a terminal without a cursor. */
  readonly #showCursor = (): void => this.#output.write(SHOW_CURSOR);
  #drawnLines = 0;
  #frame = 0;
  #isStopped = false;

  constructor(output: Output, render: (spinner: string) => readonly string[]) {
    this.#output = output;
    this.#render = render;
    process.once("exit", this.#showCursor);
    this.#timer = setInterval(() => this.draw(), FRAME_MS).unref();
    output.write(HIDE_CURSOR);
    this.draw();
  }

  /** Draws the next frame. */
  draw(): void {
    if (this.#isStopped) return;
    this.#frame = (this.#frame + 1) % FRAMES.length;
    const lines = this.#render(FRAMES[this.#frame] ?? "");
    // What has scrolled out of the terminal cannot be drawn over.
    const room = Math.max(this.#output.rows - 2, 1);
    const isCut = lines.length > room;
    this.#write(isCut ? [...lines.slice(0, room - 1), ELLIPSIS] : lines);
  }

  /** Draws the lines a last time and gives the cursor back. Safe to repeat. */
  stop(): void {
    if (this.#isStopped) return;
    clearInterval(this.#timer);
    this.#write(this.#render(FRAMES[0]));
    this.#isStopped = true;
    process.removeListener("exit", this.#showCursor);
    this.#showCursor();
  }

  #write(lines: readonly string[]): void {
    this.#output.write(`${this.#erase()}${lines.map((line) => `${line}\n`).join("")}`);
    this.#drawnLines = lines.length;
  }

  #erase(): string {
    return this.#drawnLines === 0 ? "" : `${ESCAPE}${String(this.#drawnLines)}A${ESCAPE}0J`;
  }
}
