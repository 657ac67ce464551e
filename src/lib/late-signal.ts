/**
 * What an `AbortController` with its signal is, for one listener at a time and at next to no cost: the signal itself is
 * made when somebody asks for it. Making one and listening on it takes as long as several steps of what it would end.
 */
export class LateSignal {
  #end: { readonly reason: unknown } | undefined;
  #listener: ((reason: unknown) => void) | undefined;
  #controller: AbortController | undefined;

  get isAborted(): boolean {
    return this.#end !== undefined;
  }

  /** Undefined before it aborts. */
  get reason(): unknown {
    return this.#end?.reason;
  }

  /** Aborts with this one, or has. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#end !== undefined) this.#controller.abort(this.#end.reason);
    }
    return this.#controller.signal;
  }

  throwIfAborted(): void {
    if (this.#end !== undefined) throw this.#end.reason;
  }

  /** Has the listener called once, at once, when this aborts; undefined takes that back. Replaces the one before. */
  onAbort(listener: ((reason: unknown) => void) | undefined): void {
    this.#listener = listener;
  }

  /** Only the first time counts. */
  abort(reason: unknown): void {
    if (this.#end !== undefined) return;
    this.#end = { reason };
    this.#controller?.abort(reason);
    this.#listener?.(reason);
  }
}
