import { hash } from "node:crypto";
import type { Identity } from "../../domain/identity.ts";

/** Beyond this many, those that were verified first are forgotten and verified again when they come. */
const MAX_PROOFS = 10_000;

interface Remembered {
  readonly identity: Identity;
  readonly untilMs: number;
}

/**
 * Who presented which proof, so that each is verified once and not with every request. Proofs are kept as SHA-256
 * alone; times are milliseconds of the epoch, as in the proofs.
 */
export class ProofMemory {
  readonly #remembered = new Map<string, Remembered>();
  readonly #now: () => number;
  readonly #maxProofs: number;
  #generation = 0;

  constructor(now: () => number = Date.now, maxProofs = MAX_PROOFS) {
    this.#now = now;
    this.#maxProofs = maxProofs;
  }

  /** Stands for everything that was remembered; another one after `clear`. */
  get generation(): number {
    return this.#generation;
  }

  get size(): number {
    return this.#remembered.size;
  }

  find(proof: string): Identity | undefined {
    const key = keyOf(proof);
    const found = this.#remembered.get(key);
    if (found === undefined) return undefined;
    if (this.#now() < found.untilMs) return found.identity;
    this.#remembered.delete(key);
    return undefined;
  }

  /** Does nothing where the memory was cleared since `generation`: what it was verified by may be void. */
  remember(proof: string, identity: Identity, untilMs: number, generation: number): void {
    if (generation !== this.#generation || untilMs <= this.#now()) return;
    const key = keyOf(proof);
    this.#remembered.delete(key);
    this.#remembered.set(key, { identity, untilMs });
    if (this.#remembered.size <= this.#maxProofs) return;
    const [oldest] = this.#remembered.keys();
    if (oldest !== undefined) this.#remembered.delete(oldest);
  }

  clear(): void {
    this.#generation += 1;
    this.#remembered.clear();
  }
}

function keyOf(proof: string): string {
  return hash("sha256", proof, "base64");
}
