import type { JsonObject } from "../domain/json.ts";
import { firstMember } from "./json-spans.ts";
import { validValueEnd } from "./json-validity.ts";

/** Arguments of at least so many bytes are not read before somebody asks for them. */
const LARGE_BYTES = 32_768;

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
 * Undefined where that is not so, or not to be told without reading all of it.
 */
export function cutLargeArguments(bytes: Buffer, maxDepth: number): CutArguments | undefined {
  if (bytes.length < LARGE_BYTES) return undefined;
  const start = startOfArguments(bytes);
  if (start === undefined || bytes[start] !== OPENING_BRACE) return undefined;
  // The envelope and `params` are two levels.
  const end = validValueEnd(bytes, start, maxDepth - 2);
  if (end - start < LARGE_BYTES) return undefined;
  const rest = Buffer.concat([bytes.subarray(0, start), EMPTY_OBJECT, bytes.subarray(end)]);
  return { rest, start, end };
}

/** The params of a message whose arguments were taken out, with these in place again: read when first asked for. */
export function withCutArguments(
  params: JsonObject,
  bytes: Buffer,
  { start, end }: CutArguments,
): JsonObject {
  let read: JsonObject | undefined;
  return Object.defineProperty(params, "arguments", {
    enumerable: true,
    configurable: true,
    get: () => {
      // What was cut out was found to be an object.
      read ??= JSON.parse(bytes.toString("utf8", start, end)) as JsonObject;
      return read;
    },
  });
}

/**
 * A message so large that a copy of it costs as much as sending it. It gives another name to whoever sends it on in
 * its own memory, and is put together again for whoever asks for the original after that.
 */
export class LargeMessage {
  readonly #bytes: Buffer;
  readonly #name: { readonly start: number; readonly end: number } | undefined;
  /** The beginning as it was, once it was written over. */
  #head: Buffer | undefined;

  /** The bytes are given over: nobody else may keep them. `name` is where the name stands in them. */
  constructor(bytes: Buffer, name: { readonly start: number; readonly end: number } | undefined) {
    this.#bytes = bytes;
    this.#name = name;
  }

  get bytes(): Buffer {
    if (this.#head === undefined) return this.#bytes;
    return Buffer.concat([this.#head, this.#bytes.subarray(this.#head.length)]);
  }

  /** The message with this JSON text for its name; undefined where only a copy can have it. */
  renamed(nameJson: string): Buffer | undefined {
    if (this.#name === undefined || this.#head !== undefined) return undefined;
    const { start, end } = this.#name;
    const shift = end - start - Buffer.byteLength(nameJson);
    if (shift < 0 || end > MAX_HEAD_BYTES) return undefined;
    this.#head = Buffer.from(this.#bytes.subarray(0, end));
    this.#bytes.copyWithin(shift, 0, start);
    this.#bytes.write(nameJson, start + shift);
    return this.#bytes.subarray(shift);
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
