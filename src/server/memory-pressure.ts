import { Session } from "node:inspector";
import { totalmem } from "node:os";
import process from "node:process";
import { getHeapStatistics } from "node:v8";
import type { Logger } from "../domain/logger.ts";

/** `shedding`: no new work. `critical`: connections are given up too. */
export type PressureLevel = "none" | "shedding" | "critical";

/** The memory of a process as seen from outside. */
export interface MemoryGauge {
  /** What is used of what may be used, 0 to 1. Garbage counts as used until it is collected. */
  share(): number;
  /** Collects all garbage; the process stands still meanwhile. */
  collect(): void;
  /** Calls back after each collection of the whole heap. */
  onCollected(listener: () => void): void;
}

export interface MemoryPressureOptions {
  readonly logger: Logger;
  /** Default: that of this process. */
  readonly gauge?: MemoryGauge;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
  /** How many processes of this kind share the machine, each with its part of the memory. Default 1. */
  readonly processes?: number;
}

const SHEDDING_SHARE = 0.85;
const CRITICAL_SHARE = 0.9;
const SAMPLE_EVERY_MS = 100;

/** While the last collection is not older than this, it tells what is alive. */
const RECHECK_MS = 500;

/** Collections that are made take no more than one part in this many of the time, however large the heap. */
const COLLECTION_SHARE = 10;

/**
 * What V8 counts into its limit for new objects, unless it is told otherwise; those that stay alive must fit into the
 * rest.
 */
const YOUNG_BYTES = 48 * 1_048_576;

const RANK = { none: 0, shedding: 1, critical: 2 } as const satisfies Record<PressureLevel, number>;

/**
 * Knows when memory is so short that new work must be refused, because a process that runs out of it takes every
 * session with it. Two things can run out: the heap of V8, and the memory of the machine or container, most of which
 * is bytes that wait for slow readers.
 *
 * Only what is alive counts: memory full of garbage is as good as empty. So when much is used and no collection
 * has told lately what of it is alive, one is made. Without work nothing would be allocated and nothing collected,
 * and a gateway that refuses everything would refuse for ever; therefore it looks again and again.
 */
export class MemoryPressure {
  readonly #gauge: MemoryGauge;
  readonly #now: () => number;
  readonly #logger: Logger;
  #level: PressureLevel = "none";
  #sampledMs = Number.NEGATIVE_INFINITY;
  #collectedMs = Number.NEGATIVE_INFINITY;
  #recheckMs = RECHECK_MS;

  constructor({
    logger,
    processes = 1,
    gauge = new ProcessMemory(processes),
    now = () => performance.now(),
  }: MemoryPressureOptions) {
    this.#logger = logger;
    this.#gauge = gauge;
    this.#now = now;
    gauge.onCollected(() => this.#collected());
  }

  /** Cheap enough for every request: memory is looked at no more than ten times a second. */
  level(): PressureLevel {
    const now = this.#now();
    if (now - this.#sampledMs >= SAMPLE_EVERY_MS) {
      this.#sampledMs = now;
      this.#sample(now);
    }
    return this.#level;
  }

  #sample(now: number): void {
    const used = levelOf(this.#gauge.share());
    // What is alive is at most what is used.
    if (RANK[used] < RANK[this.#level]) this.#change(used);
    if (used === "none" || now - this.#collectedMs < this.#recheckMs) return;
    this.#gauge.collect();
    this.#recheckMs = Math.max(RECHECK_MS, (this.#now() - now) * COLLECTION_SHARE);
    this.#collected();
  }

  #collected(): void {
    this.#collectedMs = this.#now();
    this.#change(levelOf(this.#gauge.share()));
  }

  #change(level: PressureLevel): void {
    if (level === this.#level) return;
    this.#logger.warn("memory is filled to another level", { was: this.#level, level });
    this.#level = level;
  }
}

function levelOf(share: number): PressureLevel {
  if (share >= CRITICAL_SHARE) return "critical";
  return share >= SHEDDING_SHARE ? "shedding" : "none";
}

export interface MemoryFigures {
  readonly heapBytes: number;
  /** As V8 tells it. */
  readonly heapLimit: number;
  /** Buffers and the like, which are not in the heap. */
  readonly externalBytes: number;
  /** What the machine has or the container may use. */
  readonly machineBytes: number;
}

/** What is used of the one of the two that is fuller. */
export function shareOf(figures: MemoryFigures): number {
  const { heapBytes, heapLimit, externalBytes, machineBytes } = figures;
  return Math.max(
    heapBytes / Math.max(heapLimit - YOUNG_BYTES, heapLimit / 2),
    (heapBytes + externalBytes) / machineBytes,
  );
}

class ProcessMemory implements MemoryGauge {
  /** An object that nobody holds is finalized by the next collection of the whole heap, and by no smaller one. */
  readonly #sentinels = new FinalizationRegistry<() => void>((listener) => {
    this.onCollected(listener);
    listener();
  });

  readonly #machineBytes: number;

  constructor(processes: number) {
    const machineBytes = Math.min(totalmem(), process.constrainedMemory() || totalmem());
    this.#machineBytes = machineBytes / processes;
  }

  share(): number {
    const heap = getHeapStatistics();
    return shareOf({
      heapBytes: heap.used_heap_size,
      heapLimit: heap.heap_size_limit,
      externalBytes: heap.external_memory,
      machineBytes: this.#machineBytes,
    });
  }

  collect(): void {
    const session = new Session();
    session.connect();
    session.post("HeapProfiler.collectGarbage");
    session.disconnect();
  }

  onCollected(listener: () => void): void {
    this.#sentinels.register({}, listener);
  }
}
