import { createRequire } from "node:module";
import type * as undici from "undici";

const require = createRequire(import.meta.url);

// The package's own entry loads fetch, WebSocket, caches and mocks too, three quarters of its time, at every start of
// the gateway. These files are the parts themselves; the version of the package is pinned.

/** The connections to one origin. Of requests it knows `dispatch` alone. */
// The file exports the class that the package names so.
export const Pool = require("undici/lib/dispatcher/pool.js") as typeof undici.Pool;

/** What the parser of answers throws. */
// The file exports the errors that the package has under one name.
export const { HTTPParserError } = require("undici/lib/core/errors.js") as typeof undici.errors;

/** The whole package, loaded with the first call: for those who need more of it and are not always needed. */
export function wholeUndici(): typeof undici {
  // It is its own type.
  return require("undici") as typeof undici;
}
