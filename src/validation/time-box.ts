import { createContext, Script, type Context } from "node:vm";

/** What came of a piece of work: its value, or that its time was up before it had one. */
export type Boxed<Value> =
  | { readonly isDone: true; readonly value: Value }
  | { readonly isDone: false };

const OUT_OF_TIME: Boxed<never> = { isDone: false };

/**
 * Runs work to its end, or stops it when its time is up: a loop without end, a regular expression and a recursion
 * alike. What the work throws passes through.
 *
 * The work is stopped between two instructions, so whatever it was changing is unusable afterwards. Costs about
 * 40 µs besides the work, for the thread that watches it.
 */
export class TimeBox {
  readonly #script = new Script("run()");
  readonly #globals: { run: () => void } = { run: idle };
  #context: Context | undefined;

  run<Value>(work: () => Value, budgetMs: number): Boxed<Value> {
    // Made at first use: a context takes a millisecond, and most processes never need one.
    this.#context ??= createContext(this.#globals);
    let boxed: Boxed<Value> = OUT_OF_TIME;
    this.#globals.run = () => {
      boxed = { isDone: true, value: work() };
    };
    try {
      this.#script.runInContext(this.#context, { timeout: budgetMs });
      return boxed;
    } catch (error) {
      if (isTimeout(error)) return OUT_OF_TIME;
      throw error;
    } finally {
      this.#globals.run = idle;
    }
  }
}

/** The error is one of the other context, so that it is no instance of this one's `Error`. */
function isTimeout(error: unknown): boolean {
  return (
    typeof error === "object" &&
    error !== null &&
    "code" in error &&
    error.code === "ERR_SCRIPT_EXECUTION_TIMEOUT"
  );
}

function idle(): void {}
