import { EventEmitter, once } from "node:events";
import process from "node:process";
import { EXIT } from "./exit-codes.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export interface StopSignalsOptions {
  /**
   * Called for SIGHUP, which then does not stop. Default: it stops, because a terminal that was closed leaves nobody
   * to serve.
   */
  readonly onHangup?: () => void;
}

/**
 * Waits for the first signal to stop. Any further one ends the process at once; its children are killed on the way out.
 * Disposing gives the signals their usual meaning back.
 */
export class StopSignals implements Disposable {
  readonly received: Promise<NodeJS.Signals>;
  readonly #onSignal: (signal: NodeJS.Signals) => void;

  constructor({ onHangup }: StopSignalsOptions = {}) {
    const first = new EventEmitter<{ signal: [NodeJS.Signals] }>();
    this.received = firstSignal(first);
    let isStopping = false;
    this.#onSignal = (signal) => {
      if (signal === "SIGHUP" && onHangup !== undefined) {
        if (!isStopping) onHangup();
        return;
      }
      if (isStopping) process.exit(exitCodeOf(signal));
      isStopping = true;
      first.emit("signal", signal);
    };
    for (const signal of SIGNALS) process.on(signal, this.#onSignal);
  }

  [Symbol.dispose](): void {
    for (const signal of SIGNALS) process.removeListener(signal, this.#onSignal);
  }
}

/** How long a command may take to end, once everything that it waits for has had its time. */
const EXIT_MARGIN_MS = 2_000;

/**
 * Ends the process in any case when that time has passed, children included: what does not heed its end must not
 * keep a service from being restarted. Does not keep the process from ending earlier.
 */
export function exitAtTheLatest(afterMs: number, code: number): void {
  setTimeout(() => process.exit(code), afterMs + EXIT_MARGIN_MS).unref();
}

/** The code of a command that a signal cut short. */
export function exitCodeOf(signal: NodeJS.Signals): number {
  return signal === "SIGINT" ? EXIT.interrupted : EXIT.terminated;
}

async function firstSignal(
  emitter: EventEmitter<{ signal: [NodeJS.Signals] }>,
): Promise<NodeJS.Signals> {
  const [signal] = await once(emitter, "signal");
  return signal;
}
