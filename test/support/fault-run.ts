import { setTimeout as delay } from "node:timers/promises";
import {
  openRawRunSession,
  openSdkRunSession,
  type OpenRunSession,
  type RunCall,
} from "./fault-clients.ts";
import type { FaultProxy } from "./fault-proxy.ts";
import { History, type Execution } from "./history.ts";
import type { HttpLedger } from "./ledger-backend.ts";
import type { SseLedger } from "./ledger-sse.ts";
import type { StdioLedger } from "./ledger-stdio.ts";
import type { Ledger } from "./ledger.ts";
import { SeededRandom } from "./seeded-random.ts";

/** Something that goes wrong with a backend until `heal`. */
export interface Fault {
  readonly name: string;
  strike(random: SeededRandom): void;
}

/** A backend of the gateway under test, and what can happen to it. */
export interface FaultTarget {
  /** The prefix of its tools. */
  readonly name: string;
  readonly ledger: Ledger;
  readonly faults: readonly Fault[];
  /** Takes back whatever struck. */
  heal(): Promise<void>;
}

export interface FaultRunOptions {
  /** The gateway's MCP endpoint. Its tools must have the prefix of their backend. */
  readonly url: string;
  readonly targets: readonly FaultTarget[];
  readonly seed: number;
  readonly durationMs: number;
  /** Every second one is by hand, the others are the SDK's. */
  readonly clients: number;
  /** Between two faults, on average. */
  readonly faultEveryMs: number;
  /** How long a client waits for an answer. Default 5 s: longer than the gateway may take. */
  readonly patienceMs?: number;
}

export interface FaultRun {
  readonly history: History;
  readonly executions: readonly Execution[];
  /** What struck whom, in order. */
  readonly faults: readonly string[];
  /** Sessions that could not be opened. */
  readonly refusedSessions: number;
}

const PATIENCE_MS = 5_000;

/**
 * Lets clients open sessions, call, cancel, leave and vanish while backends break as the seed says. Resolves when
 * every client has gone and every backend is sound again; what the gateway still has to tidy up is not waited for.
 */
export async function runFaults(options: FaultRunOptions): Promise<FaultRun> {
  const { targets, seed, durationMs, clients, patienceMs = PATIENCE_MS } = options;
  const random = new SeededRandom(seed);
  const history = new History(`seed${seed}`);
  const stop = AbortSignal.timeout(durationMs);
  const run = { options: { ...options, patienceMs }, history, stop, refusedSessions: 0 };
  const playing = Array.from({ length: clients }, async (_value, index) =>
    playClient(run, index % 2 === 0 ? openRawRunSession : openSdkRunSession, random.fork()),
  );
  const faults = await breakThings(options, stop, random.fork());
  await Promise.all(targets.map(async (target) => target.heal()));
  await Promise.all(playing);
  return {
    history,
    executions: executionsOf(targets, history),
    faults,
    refusedSessions: run.refusedSessions,
  };
}

interface RunState {
  readonly options: FaultRunOptions & { readonly patienceMs: number };
  readonly history: History;
  readonly stop: AbortSignal;
  refusedSessions: number;
}

/** One session after another, with a few calls in each. */
async function playClient(
  run: RunState,
  open: OpenRunSession,
  random: SeededRandom,
): Promise<void> {
  const { history, stop, options } = run;
  const { url, patienceMs } = options;
  while (!stop.aborted) {
    // A client does one thing after the other: here and below.
    // oxlint-disable no-await-in-loop
    try {
      const session = await open({ url, history, patienceMs });
      for (let calls = 1 + random.int(12); calls > 0 && !stop.aborted; calls -= 1) {
        const together = 1 + random.int(3);
        await Promise.all(
          Array.from({ length: together }, async () => session.call(nextCall(run, random))),
        );
      }
      await session.end(random.chance(0.7) ? "delete" : "vanish");
    } catch {
      run.refusedSessions += 1;
      await delay(20);
    }
    // oxlint-enable no-await-in-loop
  }
}

function nextCall({ options, history }: RunState, random: SeededRandom): RunCall {
  const isSlow = random.chance(0.4);
  return {
    tool: `${random.pick(options.targets).name}_nonce`,
    nonce: history.nextNonce(),
    args: isSlow ? { ms: 20 + random.int(200), steps: random.int(4) } : {},
    cancelAfterMs: random.chance(0.1) ? random.int(150) : undefined,
  };
}

async function breakThings(
  { targets, faultEveryMs }: FaultRunOptions,
  stop: AbortSignal,
  random: SeededRandom,
): Promise<readonly string[]> {
  const struck: string[] = [];
  while (!stop.aborted) {
    const target = random.pick(targets);
    const fault = random.pick(target.faults);
    struck.push(`${target.name}: ${fault.name}`);
    fault.strike(random);
    // Faults come one after the other.
    // oxlint-disable no-await-in-loop
    await delay(faultEveryMs * random.next());
    if (random.chance(0.7)) await target.heal();
    await delay(faultEveryMs * random.next());
    // oxlint-enable no-await-in-loop
  }
  return struck;
}

/** Calls of this history alone: a ledger may have seen others before. */
function executionsOf(targets: readonly FaultTarget[], history: History): readonly Execution[] {
  return targets.flatMap(({ name, ledger }) =>
    ledger.calls.flatMap(({ nonce, session }) =>
      nonce !== undefined && history.isOwn(nonce)
        ? [{ backend: name, backendSession: session, nonce }]
        : [],
    ),
  );
}

/** A backend over streamable HTTP behind a proxy. */
export function httpTarget(name: string, ledger: HttpLedger, proxy: FaultProxy): FaultTarget {
  return {
    name,
    ledger: ledger.ledger,
    faults: [
      ...proxyFaults(proxy),
      { name: "forgets its sessions", strike: () => ledger.forgetSessions() },
      { name: "cuts its streams", strike: () => ledger.cutStreams() },
      ...scriptFaults(ledger),
    ],
    async heal() {
      ledger.change({ callFate: "answer", answerAs: "json" });
      proxy.heal();
      await proxy.accept();
    },
  };
}

/** A backend over HTTP+SSE behind a proxy. */
export function sseTarget(name: string, ledger: SseLedger, proxy: FaultProxy): FaultTarget {
  return {
    name,
    ledger: ledger.ledger,
    faults: [
      ...proxyFaults(proxy),
      { name: "forgets its sessions", strike: () => ledger.forgetSessions() },
      {
        name: "says garbage",
        strike: () => ledger.writeRaw('event: message\ndata: {"jsonrpc"\n\n'),
      },
      ...scriptFaults(ledger),
    ],
    async heal() {
      ledger.change({ callFate: "answer" });
      proxy.heal();
      await proxy.accept();
    },
  };
}

/** A backend over stdio: its faults strike one of its processes. */
export function stdioTarget(name: string, ledger: StdioLedger): FaultTarget {
  const someChild = (random: SeededRandom) => {
    const { aliveChildren } = ledger;
    return aliveChildren.length === 0 ? undefined : random.pick(aliveChildren);
  };
  return {
    name,
    ledger: ledger.ledger,
    faults: [
      { name: "is killed", strike: (random) => someChild(random)?.kill() },
      { name: "exits", strike: (random) => someChild(random)?.exit(random.int(3)) },
      {
        name: "says garbage",
        strike: (random) => someChild(random)?.writeRaw('{"jsonrpc"\nnot json\n'),
      },
      {
        name: "complains",
        strike: (random) => someChild(random)?.writeStderr("e".repeat(50_000)),
      },
      ...scriptFaults(ledger),
    ],
    async heal() {
      ledger.change({ callFate: "answer" });
    },
  };
}

function proxyFaults(proxy: FaultProxy): readonly Fault[] {
  return [
    { name: "connections are cut", strike: () => proxy.endAll("cut") },
    { name: "connections are reset", strike: () => proxy.endAll("reset") },
    { name: "connections go dead", strike: () => proxy.stallOpen() },
    {
      name: "nothing arrives",
      strike: () => proxy.change({ toBackend: { isStalled: true } }),
    },
    {
      name: "nothing comes back",
      strike: () => proxy.change({ toClient: { isStalled: true } }),
    },
    {
      name: "everything is late",
      strike: (random) => proxy.change({ toClient: { delayMs: random.int(100) } }),
    },
    {
      name: "everything drips",
      strike: () => proxy.change({ toClient: { bytesPerSecond: 2_000 } }),
    },
    {
      name: "answers are cut off",
      strike: (random) => proxy.change({ toClient: { cutAfterBytes: random.int(400) } }),
    },
    {
      name: "requests are cut off",
      strike: (random) => proxy.change({ toBackend: { cutAfterBytes: random.int(400) } }),
    },
    {
      name: "it is gone",
      strike: () => {
        proxy.refuse();
        proxy.endAll("reset");
      },
    },
  ];
}

function scriptFaults(ledger: Pick<HttpLedger, "change">): readonly Fault[] {
  return [
    { name: "dies before it executes", strike: () => ledger.change({ callFate: "die-before" }) },
    { name: "dies after it executed", strike: () => ledger.change({ callFate: "die-after" }) },
    { name: "hangs", strike: () => ledger.change({ callFate: "hang" }) },
  ];
}
