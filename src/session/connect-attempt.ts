import type { BackendName } from "../domain/ids.ts";
import type { Semaphore } from "../lib/semaphore.ts";
import type { ConnectOutcome } from "./backend-connection.ts";
import { startTimeout } from "./link-failures.ts";

export interface AttemptOptions {
  readonly name: BackendName;
  /** Permits to take first, narrowest first. */
  readonly slots: readonly Semaphore[];
  /** For connecting, once the permits are there. */
  readonly timeoutMs: number;
  /** For the attempt alone: whoever aborts it ends the attempt, and so does its time when it is over. */
  readonly attempt: AbortController;
  /** Throws where nothing may be tried. */
  readonly admit: () => void;
  readonly connect: (signal: AbortSignal) => Promise<ConnectOutcome>;
  /** Hears of an attempt that nobody waits for any more, and that has not ended: what it makes is closed. */
  readonly onAbandoned: (ending: Promise<void>) => void;
}

/**
 * How long an attempt holds its permits. They spread the work of starting; a backend that takes longer has
 * everyone wait for it alone.
 */
const PERMIT_MS = 1_000;

/**
 * One attempt to connect. Rejects when it fails, takes too long, or is aborted; that does not depend
 * on whether the one who connects heeds the signal.
 */
export async function attemptConnect(options: AttemptOptions): Promise<ConnectOutcome> {
  const { name, slots, timeoutMs, attempt } = options;
  const { signal } = attempt;
  const permits: Disposable[] = [];
  let timer: NodeJS.Timeout | undefined;
  let impatience: NodeJS.Timeout | undefined;
  try {
    for (const slot of slots) permits.push(slot.tryAcquire() ?? (await slot.acquire(signal)));
    signal.throwIfAborted();
    // Last, so that a backend which was found broken meanwhile is not tried by all who waited for a permit.
    options.admit();
    timer = setTimeout(() => attempt.abort(startTimeout(name, timeoutMs)), timeoutMs);
    impatience = setTimeout(() => release(permits), PERMIT_MS);
    return await orAborted(options.connect(signal), signal, options.onAbandoned);
  } finally {
    clearTimeout(timer);
    clearTimeout(impatience);
    release(permits);
  }
}

/** Harmless when it was done before. */
function release(permits: readonly Disposable[]): void {
  for (const permit of permits) permit[Symbol.dispose]();
}

async function orAborted(
  connecting: Promise<ConnectOutcome>,
  signal: AbortSignal,
  onAbandoned: AttemptOptions["onAbandoned"],
): Promise<ConnectOutcome> {
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([connecting, aborted]);
  } catch (thrown) {
    onAbandoned(closeWhenItComes(connecting));
    throw thrown;
  } finally {
    if (onAbort !== undefined) signal.removeEventListener("abort", onAbort);
  }
}

async function closeWhenItComes(connecting: Promise<ConnectOutcome>): Promise<void> {
  const outcome = await connecting.catch(() => undefined);
  await outcome?.connection?.[Symbol.asyncDispose]();
}
