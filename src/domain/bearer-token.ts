import { inspect } from "node:util";

const HIDDEN = "[secret]";

/**
 * A client's own proof of identity, kept for as long as its request needs it.
 *
 * Its text is only had by asking for it: neither JSON, nor a template, nor a log line shows it. It is never sent
 * to a backend; only an authorization server may see it, in exchange for another.
 */
export class BearerToken {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  reveal(): string {
    return this.#text;
  }

  toJSON(): string {
    return HIDDEN;
  }

  toString(): string {
    return HIDDEN;
  }

  [inspect.custom](): string {
    return HIDDEN;
  }
}
