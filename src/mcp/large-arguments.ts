import type { JsonObject } from "../domain/json.ts";
import { firstMember } from "./json-spans.ts";
import { ValueValidator } from "./json-validity.ts";

/**
 * Arguments of at least so many bytes are not read before somebody asks for them, and a message of as many is left in
 * the pieces in which it came.
 */
export const LARGE_BYTES = 32_768;

/** What stands before the end of the name is copied: it must be little. */
const MAX_HEAD_BYTES = 4_096;

/** A message whose arguments were checked and taken out of it. */
export interface CutArguments {
  /** The message with `{}` in their place. */
  readonly rest: Buffer;
  /** Where they stand in the whole message; the end is exclusive. */
  readonly start: number;
  readonly end: number;
}

/**
 * Takes large `params.arguments` out of a message in UTF-8, so that what is left can be read at the cost of a
 * small one. The message is valid, and nested no deeper than `maxDepth`, exactly where the rest is.
 *
 * Undefined where that is not so, or not to be told without reading all of it, or where the arguments do not begin in
 * the first piece.
 */
export function cutLargeArguments(
  pieces: readonly Buffer[],
  maxDepth: number,
): CutArguments | undefined {
  const [first = NOTHING] = pieces;
  // Nearly every message is small, and in one piece.
  if (pieces.length === 1 && first.length < LARGE_BYTES) return undefined;
  const start = startOfArguments(first);
  if (start === undefined || first[start] !== OPENING_BRACE) return undefined;
  // The envelope and `params` are two levels.
  const validator = new ValueValidator(maxDepth - 2);
  let before = 0;
  for (const [index, piece] of pieces.entries()) {
    const stop = validator.read(piece, index === 0 ? start : 0);
    if (validator.isBroken) return undefined;
    if (validator.isWhole) {
      const end = before + stop;
      if (end - start < LARGE_BYTES) return undefined;
      const tail = [piece.subarray(stop), ...pieces.slice(index + 1)];
      const rest = Buffer.concat([first.subarray(0, start), EMPTY_OBJECT, ...tail]);
      return { rest, start, end };
    }
    before += piece.length;
  }
  return undefined;
}

/** The params of a message whose arguments were taken out, with these in place again: read when first asked for. */
export function withCutArguments(
  params: JsonObject,
  message: { readonly bytes: Buffer },
  { start, end }: CutArguments,
): JsonObject {
  let read: JsonObject | undefined;
  return Object.defineProperty(params, "arguments", {
    enumerable: true,
    configurable: true,
    get: () => {
      // What was cut out was found to be an object.
      read ??= JSON.parse(message.bytes.toString("utf8", start, end)) as JsonObject;
      return read;
    },
  });
}

/**
 * A message so large that a copy of it costs as much as sending it: it leaves in the pieces in which it came. It gives
 * another name to whoever sends it on in its own memory, and is put together again for whoever asks for the original
 * after that.
 */
export class LargeMessage {
  readonly #pieces: readonly Buffer[];
  readonly #name: { readonly start: number; readonly end: number } | undefined;
  /** The beginning as it was, once it was written over. */
  #head: Buffer | undefined;
  /** All of it in one piece, once somebody asked for that. */
  #copy: Buffer | undefined;
  #isSent = false;

  /** The pieces are given over: nobody else may keep them. `name` is where the name stands in them together. */
  constructor(
    pieces: readonly Buffer[],
    name: { readonly start: number; readonly end: number } | undefined,
  ) {
    this.#pieces = pieces;
    this.#name = name;
  }

  get bytes(): Buffer {
    const [first = NOTHING, ...others] = this.#pieces;
    if (this.#head === undefined && others.length === 0) return first;
    const head = this.#head ?? NOTHING;
    this.#copy ??= Buffer.concat([head, first.subarray(head.length), ...others]);
    return this.#copy;
  }

  /**
   * The message with this JSON text for its name, or with the one it has, in its own memory: given once, because another
   * name would be written into what was sent first. Undefined after that, and where only a copy can have the name.
   */
  toSend(nameJson: string | undefined): readonly Buffer[] | undefined {
    if (this.#isSent) return undefined;
    const pieces = nameJson === undefined ? this.#pieces : this.#renamed(nameJson);
    this.#isSent = pieces !== undefined;
    return pieces;
  }

  #renamed(nameJson: string): readonly Buffer[] | undefined {
    const [first = NOTHING, ...others] = this.#pieces;
    if (this.#name === undefined) return undefined;
    const { start, end } = this.#name;
    const shift = end - start - Buffer.byteLength(nameJson);
    if (shift < 0 || end > Math.min(MAX_HEAD_BYTES, first.length)) return undefined;
    this.#head = Buffer.from(first.subarray(0, end));
    first.copyWithin(shift, 0, start);
    first.write(nameJson, start + shift);
    return [first.subarray(shift), ...others];
  }
}

/** How far what follows the arguments stands behind its place in the rest. */
export function shiftOf({ start, end }: CutArguments): number {
  return end - start - EMPTY_OBJECT.length;
}

function startOfArguments(bytes: Buffer): number | undefined {
  try {
    const params = firstMember(bytes, bytes.indexOf(OPENING_BRACE), "params");
    return params === undefined ? undefined : firstMember(bytes, params, "arguments");
  } catch {
    // What is wrong with it is found by whoever reads it all.
    return undefined;
  }
}

const OPENING_BRACE = 0x7b;
const EMPTY_OBJECT = Buffer.from("{}");
const NOTHING = Buffer.alloc(0);
