import type { ProbedVmcp } from "./probed-vmcp.ts";
import { listChildren, openDescriptors, openSockets, waitFor, zombiesOf } from "./quiescence.ts";
import { sendRaw } from "./raw-client.ts";

/** What a gateway process holds at one moment. */
export interface Holdings {
  readonly descriptors: number;
  /** TCP sockets that do not listen, closing ones included. */
  readonly sockets: number;
  readonly children: number;
  /** What keeps its event loop alive: sockets, timers, pipes, processes. */
  readonly handles: number;
  readonly sessions: number;
  /** After a collection. */
  readonly heapBytes: number;
}

/** What a test knows of a backend of the gateway that it watches. */
export interface WatchedBackend {
  readonly openSessions: number;
}

export interface InvariantOptions {
  readonly backends?: readonly WatchedBackend[];
  /** How long the gateway may take to come to rest. Default 10 s: idle connections to backends are kept for a while. */
  readonly settleMs?: number;
  /** How much larger the heap may be than it was. Default a tenth. */
  readonly heapGrowth?: number;
  /** Slowest turn of the event loop that is no violation, of a hundred. Machines that are shared stall. */
  readonly loopDelayP99Ms?: number;
}

/** Looks at a gateway that nobody uses now. Take it when the gateway is warm: once every backend was used. */
export async function holdingsOf(gateway: ProbedVmcp): Promise<Holdings> {
  const { resources, heapBytes } = await gateway.report();
  return {
    descriptors: openDescriptors(gateway.pid),
    sockets: openSockets(gateway.pid).filter(({ state }) => state !== "listening").length,
    children: listChildren(gateway.pid).length,
    handles: resources.length,
    sessions: await sessionCount(gateway),
    heapBytes,
  };
}

/**
 * What a gateway that everybody has left holds beyond what it held before, by the number of the invariant: sockets
 * and backend sessions, children, handles, sessions, heap; and whether it lives and responds. Waits for it to come
 * to rest; empty when it did.
 */
export async function checkInvariants(
  gateway: ProbedVmcp,
  before: Holdings,
  options: InvariantOptions = {},
): Promise<readonly string[]> {
  if (!(await isHealthy(gateway))) return ["[I10] /health does not answer"];
  const { settleMs = 10_000, backends = [], loopDelayP99Ms = 1_000 } = options;
  const { loopDelayP99Ms: delayMs } = await gateway.report();
  const sluggish =
    delayMs > loopDelayP99Ms ? [`[I10] the event loop was late by ${Math.round(delayMs)} ms`] : [];
  let left: readonly string[] = [];
  const isAtRest = async (): Promise<boolean> => {
    left = excess(await holdingsOf(gateway), before, options);
    const open = backends.reduce((sum, { openSessions }) => sum + openSessions, 0);
    if (open > 0) left = [...left, `[I4] ${open} backend sessions are open`];
    return left.length === 0;
  };
  try {
    await waitFor(isAtRest, { timeoutMs: settleMs, intervalMs: 100, what: "a gateway at rest" });
  } catch {
    // What is left is said below.
  }
  const zombies = zombiesOf(gateway.pid).length;
  return [...sluggish, ...left, ...(zombies > 0 ? [`[I5] ${zombies} zombies are left`] : [])];
}

function excess(
  now: Holdings,
  before: Holdings,
  { heapGrowth = 0.1 }: InvariantOptions,
): readonly string[] {
  const counted = COUNTED.filter(([, what]) => now[what] > before[what]).map(
    ([id, what]) => `[${id}] ${now[what]} ${what}, ${before[what]} before`,
  );
  const maxHeapBytes = before.heapBytes * (1 + heapGrowth);
  if (now.heapBytes <= maxHeapBytes) return counted;
  return [...counted, `[I8] a heap of ${now.heapBytes} bytes, ${before.heapBytes} before`];
}

const COUNTED = [
  ["I4", "descriptors"],
  ["I4", "sockets"],
  ["I5", "children"],
  ["I6", "handles"],
  ["I7", "sessions"],
] as const;

async function sessionCount({ origin }: ProbedVmcp): Promise<number> {
  const status: unknown = JSON.parse((await sendRaw(`${origin}/status`)).text);
  // The page's own form, which its own tests hold.
  return (status as { readonly sessions: number }).sessions;
}

async function isHealthy({ origin }: ProbedVmcp): Promise<boolean> {
  const answer = await sendRaw(`${origin}/health`).catch(() => undefined);
  return answer?.status === 200;
}
