/** How coarse the wheel is: a deadline comes up to two of these late, and never early. */
const TICK_MS = 100;

/** Deadlines farther away than one turn of the wheel (51 s) stay in their slot for another turn. */
const SLOTS = 512;

/** One wait. Both methods are harmless once it has ended. */
export interface Deadline {
  cancel(): void;
  /** Lets it end `ms` from now, sooner or later than it would have. */
  extend(ms: number): void;
}

/**
 * Many coarse deadlines on one timer, so that a call needs no timer of its own.
 *
 * Adding, extending and cancelling cost the same however many wait. The timer runs only while something
 * waits and does not keep the process alive. Time is monotonic; callbacks must not throw.
 */
export class Deadlines {
  readonly #slots: readonly Set<Entry>[] = Array.from({ length: SLOTS }, () => new Set<Entry>());
  #waiting = 0;
  #seenTick = 0;
  #timer: NodeJS.Timeout | undefined;

  /** How many deadlines wait now. */
  get size(): number {
    return this.#waiting;
  }

  /** Calls `onExpire` once, `ms` from now or up to a fifth of a second later. */
  add(ms: number, onExpire: () => void): Deadline {
    this.#ensureRunning();
    const entry = new Entry(this, onExpire);
    this.schedule(entry, ms);
    return entry;
  }

  /** For entries only. */
  schedule(entry: Entry, ms: number): void {
    const tick = Math.ceil((performance.now() + ms) / TICK_MS);
    // A tick that was seen is not looked at again before the wheel has turned once.
    entry.dueTick = Math.max(tick, this.#seenTick + 1);
    this.#slotAt(entry.dueTick).add(entry);
    this.#waiting += 1;
  }

  /** For entries only. True if the entry was still waiting. */
  unschedule(entry: Entry): boolean {
    const wasWaiting = this.#slotAt(entry.dueTick).delete(entry);
    if (wasWaiting) this.#waiting -= 1;
    return wasWaiting;
  }

  #ensureRunning(): void {
    if (this.#timer !== undefined) return;
    this.#seenTick = Math.floor(performance.now() / TICK_MS);
    this.#timer = setInterval(() => this.#turn(), TICK_MS).unref();
  }

  /** Stopping waits for the next turn, so that calls which come one by one do not restart the timer each time. */
  #turn(): void {
    if (this.#waiting === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      return;
    }
    const nowTick = Math.floor(performance.now() / TICK_MS);
    // After a long pause of the process one whole turn sees every slot.
    const firstTick = Math.max(this.#seenTick + 1, nowTick - SLOTS + 1);
    this.#seenTick = nowTick;
    const due: Entry[] = [];
    for (let tick = firstTick; tick <= nowTick; tick += 1) {
      for (const entry of this.#slotAt(tick)) if (entry.dueTick <= nowTick) due.push(entry);
    }
    for (const entry of due) if (this.unschedule(entry)) entry.onExpire();
  }

  #slotAt(tick: number): Set<Entry> {
    const slot = this.#slots[tick % SLOTS];
    if (slot === undefined) throw new RangeError(`${tick} is not a tick`);
    return slot;
  }
}

/** The wheel that the whole process shares. */
export const DEADLINES = new Deadlines();

class Entry implements Deadline {
  dueTick = 0;
  readonly onExpire: () => void;
  readonly #wheel: Deadlines;

  constructor(wheel: Deadlines, onExpire: () => void) {
    this.#wheel = wheel;
    this.onExpire = onExpire;
  }

  cancel(): void {
    this.#wheel.unschedule(this);
  }

  extend(ms: number): void {
    if (this.#wheel.unschedule(this)) this.#wheel.schedule(this, ms);
  }
}
