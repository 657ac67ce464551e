import { createRequire } from "node:module";
import type * as undici from "undici";

const require = createRequire(import.meta.url);

/**
 * The package, loaded with the first call. It takes a quarter of the time that a start takes without it, and only those
 * need it who ask for keys, tokens and the like.
 */
export function wholeUndici(): typeof undici {
  // It is its own type.
  return require("undici") as typeof undici;
}
