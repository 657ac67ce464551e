/**
 * A map that takes next to no memory until something is put into it. For what there is one of in every session and
 * few sessions ever use: an empty `Map` weighs as much as a small record.
 */
export class LateMap<Key, Value> {
  #map: Map<Key, Value> | undefined;

  get size(): number {
    return this.#map === undefined ? 0 : this.#map.size;
  }

  get(key: Key): Value | undefined {
    return this.#map?.get(key);
  }

  has(key: Key): boolean {
    return this.#map !== undefined && this.#map.has(key);
  }

  set(key: Key, value: Value): void {
    this.#map ??= new Map();
    this.#map.set(key, value);
  }

  /** Tells whether there was something. */
  delete(key: Key): boolean {
    return this.#map !== undefined && this.#map.delete(key);
  }

  clear(): void {
    this.#map = undefined;
  }

  /** In the order in which they were put in. What is put in or deleted meanwhile is seen or not, as with a `Map`. */
  keys(): MapIterator<Key> {
    return this.#read().keys();
  }

  values(): MapIterator<Value> {
    return this.#read().values();
  }

  [Symbol.iterator](): MapIterator<[Key, Value]> {
    return this.#read().entries();
  }

  /** Nothing is ever put into the empty one. */
  #read(): Map<Key, Value> {
    return this.#map ?? EMPTY;
  }
}

const EMPTY = new Map<never, never>();
