import { EventEmitter, once } from "node:events";
import process from "node:process";
import { EXIT } from "./exit-codes.ts";

/** A terminal that was closed leaves nobody to serve, so SIGHUP stops too. */
const STOP_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Waits for the first signal to stop. Any further one ends the process at once; its children are killed on the way out.
 * Disposing gives the signals their usual meaning back.
 */
export class StopSignals implements Disposable {
  readonly received: Promise<NodeJS.Signals>;
  readonly #onSignal: (signal: NodeJS.Signals) => void;

  constructor() {
    const first = new EventEmitter<{ signal: [NodeJS.Signals] }>();
    this.received = firstSignal(first);
    let isStopping = false;
    this.#onSignal = (signal) => {
      if (isStopping) process.exit(exitCodeOf(signal));
      isStopping = true;
      first.emit("signal", signal);
    };
    for (const signal of STOP_SIGNALS) process.on(signal, this.#onSignal);
  }

  [Symbol.dispose](): void {
    for (const signal of STOP_SIGNALS) process.removeListener(signal, this.#onSignal);
  }
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
