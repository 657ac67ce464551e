import { LateSignal } from "../lib/late-signal.ts";

/**
 * What the gateway's own parts pass on beside a signal, or in place of one: whoever listens to it needs no signal, which
 * is made only for who asks.
 */
export interface Withdrawable {
  readonly withdrawal: LateSignal;
}

/** Undefined where there is only the signal. */
export function withdrawalOf(options: { readonly signal?: AbortSignal }): LateSignal | undefined {
  if (!("withdrawal" in options)) return undefined;
  return options.withdrawal instanceof LateSignal ? options.withdrawal : undefined;
}
