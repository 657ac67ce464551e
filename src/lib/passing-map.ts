/**
 * A map for values that come and go all the time and are large: whatever is deleted or replaced is let go at once.
 *
 * A `Map` moves its entries into a new table every few hundred changes. The old table still names all that was in
 * it, and once it has outlived two collections of the young generation it keeps that alive until the next full
 * one: with sessions in a `Map`, every session that ended was copied twice and then stayed. Here tables hold
 * cells, and a cell that is left is empty.
 */
export class PassingMap<Key, Value> {
  readonly #cells = new Map<Key, Cell<Value>>();

  get size(): number {
    return this.#cells.size;
  }

  get(key: Key): Value | undefined {
    return this.#cells.get(key)?.value;
  }

  set(key: Key, value: Value): void {
    const cell = this.#cells.get(key);
    if (cell === undefined) this.#cells.set(key, { value });
    else cell.value = value;
  }

  /** Tells whether there was something. */
  delete(key: Key): boolean {
    const cell = this.#cells.get(key);
    if (cell === undefined) return false;
    cell.value = undefined;
    return this.#cells.delete(key);
  }

  /** In the order in which their keys were first set; what is deleted meanwhile is left out. */
  *values(): Generator<Value> {
    for (const [, value] of this.entries()) yield value;
  }

  /** As `values`, with their keys. */
  *entries(): Generator<readonly [Key, Value]> {
    for (const [key, { value }] of this.#cells) if (value !== undefined) yield [key, value];
  }
}

interface Cell<Value> {
  value: Value | undefined;
}
