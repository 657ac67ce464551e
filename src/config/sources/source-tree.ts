import type { ConfigPath, ConfigProblem } from "../problems.ts";
import { pathText } from "../problems.ts";

export interface Position {
  /** 1-based. */
  readonly line: number;
  readonly column: number;
}

/** A configuration text as plain values, each of which can be found again in the text. */
export interface SourceTree {
  readonly value: unknown;
  /** Where the key (or list item) at this path stands; for a missing one, where its nearest parent stands. */
  readonly locate: (path: ConfigPath) => Position;
}

/** What a parser gives: a tree, and what is wrong with the text. A tree with problems must not be used. */
export interface ParsedSource {
  readonly tree: SourceTree;
  readonly problems: readonly ConfigProblem[];
}

export interface SourceLimits {
  readonly maxKeys: number;
  readonly maxDepth: number;
}

/** Collects values, their places and faults while a parser's tree is walked. */
export class TreeBuilder {
  readonly #file: string;
  readonly #limits: SourceLimits;
  readonly #positionOf: (offset: number) => Position;
  readonly #positions = new Map<string, Position>();
  readonly #problems: ConfigProblem[] = [];
  #keys = 0;

  constructor(file: string, limits: SourceLimits, positionOf: (offset: number) => Position) {
    this.#file = file;
    this.#limits = limits;
    this.#positionOf = positionOf;
  }

  fault(offset: number, path: ConfigPath, message: string): void {
    const position = this.#positionOf(offset);
    this.#problems.push({ file: this.#file, ...position, path: pathText(path), message });
  }

  place(path: ConfigPath, offset: number): void {
    this.#positions.set(JSON.stringify(path), this.#positionOf(offset));
  }

  /** Says whether the walk may enter another container at this depth, and records a fault if not. */
  mayEnter(path: ConfigPath, offset: number): boolean {
    if (path.length <= this.#limits.maxDepth) return true;
    this.fault(offset, path.slice(0, 4), tooDeep(this.#limits));
    return false;
  }

  /** Counts one more key or item; false (with one fault) once there are too many. */
  mayAdd(path: ConfigPath, offset: number): boolean {
    this.#keys += 1;
    if (this.#keys === this.#limits.maxKeys + 1) this.fault(offset, path, tooMany(this.#limits));
    return this.#keys <= this.#limits.maxKeys;
  }

  /** Adds a key to a mapping, or records why it cannot be one. */
  mayKey(object: object, path: ConfigPath, key: string, offset: number): boolean {
    if (key === "__proto__") {
      this.fault(offset, [...path, key], "is not a key that a configuration can have");
      return false;
    }
    if (Object.hasOwn(object, key)) {
      this.fault(offset, [...path, key], "is there twice; keep one of the two");
      return false;
    }
    return this.mayAdd([...path, key], offset);
  }

  /** `offsetAt` finds places that were not told with `place`. */
  finish(
    value: unknown,
    offsetAt: (path: ConfigPath) => number | undefined = () => undefined,
  ): ParsedSource {
    const find = (path: ConfigPath): Position | undefined => {
      const offset = offsetAt(path);
      if (offset !== undefined) return this.#positionOf(offset);
      return this.#positions.get(JSON.stringify(path));
    };
    return { tree: { value, locate: (path) => locate(find, path) }, problems: this.#problems };
  }
}

export function tooMany(limits: SourceLimits): string {
  return `the file has more than ${String(limits.maxKeys)} keys and list items`;
}

export function tooDeep(limits: SourceLimits): string {
  return `the file is nested deeper than ${String(limits.maxDepth)} levels`;
}

/** Makes a function from an offset in `text` to its line and column. */
export function positionsIn(text: string): (offset: number) => Position {
  const starts = [0];
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return (offset) => {
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
  };
}

/** The place of the path itself, else that of its nearest parent. */
function locate(find: (path: ConfigPath) => Position | undefined, path: ConfigPath): Position {
  for (let length = path.length; length > 0; length -= 1) {
    const position = find(path.slice(0, length));
    if (position !== undefined) return position;
  }
  return { line: 1, column: 1 };
}
