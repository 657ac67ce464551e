import type { ReloadPlan } from "../config/reload-plan.ts";
import type { VmcpConfig } from "../config/vmcp-config.ts";
import { VmcpError } from "../domain/errors.ts";
import {
  backendsGone,
  closeBackends,
  firstGeneration,
  nextGeneration,
  planFrom,
  type Generation,
  type GenerationBackend,
  type MakeBackend,
} from "./generation.ts";

/**
 * Puts the next generation in place of the one before, all of it before anything is awaited. Resolves when nobody
 * uses the backends any more that are gone.
 */
export type Install = (next: Generation, plan: ReloadPlan, before: Generation) => Promise<void>;

/**
 * The configuration that is in force, and the change from one to the next: one at a time, and each built whole
 * before anything of it is seen. Disposing breaks every socket of every backend that is left.
 */
export class Generations implements AsyncDisposable {
  readonly #make: MakeBackend;
  readonly #retiring = new Set<Promise<void>>();
  #current: Generation;
  #turn: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  private constructor(first: Generation, make: MakeBackend) {
    this.#current = first;
    this.#make = make;
  }

  /** Rejects with `invalid_config`. */
  static async create(config: VmcpConfig, make: MakeBackend): Promise<Generations> {
    return new Generations(await firstGeneration(config, make), make);
  }

  get current(): Generation {
    return this.#current;
  }

  /** From now on no other generation comes: a change that is under way ends with `shutting_down`. */
  close(): void {
    this.#isClosed = true;
  }

  /**
   * Goes over to another configuration and says what that changed; a plan without changes changed nothing. Waits
   * for its turn. Rejects with `invalid_config` or `shutting_down`, and everything is as before then.
   */
  async change(next: VmcpConfig, install: Install): Promise<ReloadPlan> {
    const turn = this.#changeAfter(this.#turn, next, install);
    this.#turn = turn;
    return turn;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await Promise.allSettled([this.#turn]);
    await closeBackends(this.#current.backends);
    await Promise.allSettled(this.#retiring);
  }

  async #changeAfter(
    before: Promise<unknown>,
    next: VmcpConfig,
    install: Install,
  ): Promise<ReloadPlan> {
    await Promise.allSettled([before]);
    this.#refuseWhenClosed();
    const plan = await planFrom(this.#current, next);
    if (plan.changes.every(({ kind }) => kind === "needs_restart")) return plan;
    const running = this.#current;
    const generation = await nextGeneration(running, plan, this.#make);
    if (this.#isClosed) await closeBackends(backendsGone(generation, running));
    this.#refuseWhenClosed();
    this.#current = generation;
    this.#retire(install(generation, plan, running), backendsGone(running, generation));
    return plan;
  }

  #refuseWhenClosed(): void {
    if (this.#isClosed) throw new VmcpError("shutting_down", "The gateway is shutting down");
  }

  #retire(unused: Promise<void>, gone: readonly GenerationBackend[]): void {
    const retiring = closeWhenUnused(unused, gone);
    this.#retiring.add(retiring);
    void this.#forget(retiring);
  }

  async #forget(retiring: Promise<void>): Promise<void> {
    await Promise.allSettled([retiring]);
    this.#retiring.delete(retiring);
  }
}

async function closeWhenUnused(
  unused: Promise<void>,
  gone: readonly GenerationBackend[],
): Promise<void> {
  await Promise.allSettled([unused]);
  await closeBackends(gone);
}
