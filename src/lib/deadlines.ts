/** How coarse the wheel is: a deadline comes up to two of these late, and never early. */
const TICK_MS = 100;

/** Deadlines farther away than one turn of the wheel (51 s) stay in their slot for another turn. */
const SLOTS = 512;

/** A turn that is late by more than this comes after the process stood still, and not after a busy moment. */
const STANDSTILL_TICKS = 5;

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
 * waits and does not keep the process alive. Time is monotonic; callbacks must not throw. After the process stood
 * still, what fell due meanwhile comes one turn later, so that what arrived in that time can be read before.
 *
 * Each slot is a chain of the entries themselves. A collection in its place would move its entries into a new
 * table every few hundred calls, and the old tables keep finished calls alive until the next full garbage
 * collection: measured, that cost a quarter of the throughput.
 */
export class Deadlines {
  readonly #slots: readonly Entry[] = Array.from({ length: SLOTS }, () => new Entry(this, noop));
  #waiting = 0;
  #seenTick = 0;
  #timer: NodeJS.Timeout | undefined;
  #isAfterStandstill = false;

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
    entry.linkBefore(this.#slotAt(entry.dueTick));
    this.#waiting += 1;
  }

  /** For entries only. True if the entry was still waiting. */
  unschedule(entry: Entry): boolean {
    const wasWaiting = entry.unlink();
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
    this.#isAfterStandstill =
      !this.#isAfterStandstill && nowTick - this.#seenTick > STANDSTILL_TICKS;
    if (this.#isAfterStandstill) return;
    // After a long pause of the process one whole turn sees every slot.
    const firstTick = Math.max(this.#seenTick + 1, nowTick - SLOTS + 1);
    this.#seenTick = nowTick;
    const due: Entry[] = [];
    for (let tick = firstTick; tick <= nowTick; tick += 1) {
      const slot = this.#slotAt(tick);
      for (let entry = slot.next; entry !== slot; entry = entry.next) {
        if (entry.dueTick <= nowTick) due.push(entry);
      }
    }
    for (const entry of due) if (this.unschedule(entry)) entry.onExpire();
  }

  /** The head of a slot's chain, which waits for nothing itself. */
  #slotAt(tick: number): Entry {
    const slot = this.#slots[tick % SLOTS];
    if (slot === undefined) throw new RangeError(`${tick} is not a tick`);
    return slot;
  }
}

class Entry implements Deadline {
  dueTick = 0;
  /** Its neighbours in the ring of its slot; itself while it is in none. */
  next: Entry = this;
  previous: Entry = this;
  readonly onExpire: () => void;
  readonly #wheel: Deadlines;

  constructor(wheel: Deadlines, onExpire: () => void) {
    this.#wheel = wheel;
    this.onExpire = onExpire;
  }

  linkBefore(head: Entry): void {
    this.previous = head.previous;
    this.next = head;
    head.previous.next = this;
    head.previous = this;
  }

  /** True if it was in a ring. What is out of it points to nobody, so that it keeps nobody alive. */
  unlink(): boolean {
    if (this.next === this) return false;
    this.previous.next = this.next;
    this.next.previous = this.previous;
    this.next = this;
    this.previous = this;
    return true;
  }

  cancel(): void {
    this.#wheel.unschedule(this);
  }

  extend(ms: number): void {
    if (this.#wheel.unschedule(this)) this.#wheel.schedule(this, ms);
  }
}

function noop(): void {}

/** The wheel that the whole process shares. */
export const DEADLINES = new Deadlines();
