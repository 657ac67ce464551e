import process from "node:process";
import { EXIT } from "../exit-codes.ts";

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
    let resolve: (signal: NodeJS.Signals) => void = () => {};
    this.received = new Promise((resolveReceived) => {
      resolve = resolveReceived;
    });
    let isStopping = false;
    this.#onSignal = (signal) => {
      if (isStopping) process.exit(signal === "SIGINT" ? EXIT.interrupted : EXIT.terminated);
      isStopping = true;
      resolve(signal);
    };
    for (const signal of STOP_SIGNALS) process.on(signal, this.#onSignal);
  }

  [Symbol.dispose](): void {
    for (const signal of STOP_SIGNALS) process.removeListener(signal, this.#onSignal);
  }
}
