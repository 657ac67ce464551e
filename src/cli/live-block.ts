import type { Output } from "./terminal.ts";

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"] as const;
const FRAME_MS = 80;
const ESCAPE = "\u001B[";
const HIDE_CURSOR = `${ESCAPE}?25l`;
const SHOW_CURSOR = `${ESCAPE}?25h`;

/**
 * Lines at the end of an interactive output that are drawn again and again, until `stop` leaves them as they are.
 *
 * `render` is given the character to show for what is under way; its lines must not be wider than the output.
 */
export class LiveBlock implements Disposable {
  readonly #output: Output;
  readonly #render: (spinner: string) => readonly string[];
  readonly #timer: NodeJS.Timeout;
  #drawnLines = 0;
  #frame = 0;
  #isStopped = false;

  constructor(output: Output, render: (spinner: string) => readonly string[]) {
    this.#output = output;
    this.#render = render;
    this.#timer = setInterval(() => this.draw(), FRAME_MS).unref();
    output.write(HIDE_CURSOR);
    this.draw();
  }

  /** Draws the next frame. */
  draw(): void {
    if (this.#isStopped) return;
    this.#frame = (this.#frame + 1) % FRAMES.length;
    const lines = this.#render(FRAMES[this.#frame] ?? "");
    this.#output.write(`${this.#erase()}${lines.map((line) => `${line}\n`).join("")}`);
    this.#drawnLines = lines.length;
  }

  /** Draws the lines a last time and gives the cursor back. Safe to repeat. */
  stop(): void {
    if (this.#isStopped) return;
    clearInterval(this.#timer);
    this.draw();
    this.#isStopped = true;
    this.#output.write(SHOW_CURSOR);
  }

  [Symbol.dispose](): void {
    this.stop();
  }

  #erase(): string {
    return this.#drawnLines === 0 ? "" : `${ESCAPE}${String(this.#drawnLines)}A${ESCAPE}0J`;
  }
}
