import { createRequire } from "node:module";
import type { Ajv, ErrorObject, Options } from "ajv/dist/ajv.js";
import type { Ajv2020 } from "ajv/dist/2020.js";
import { VmcpError } from "../domain/errors.ts";
import type { JsonObject } from "../domain/json.ts";
import type { Dialect } from "./dialects.ts";
import { compilePattern } from "./patterns.ts";

/** What is wrong with a value; undefined where it fits. The first fault found ends the search. */
export type FaultsOf = (value: unknown) => readonly ErrorObject[] | undefined;

/**
 * Nothing is fetched: a reference that leads out of the schema does not compile. Formats are annotations, as 2020-12
 * has them by default: what a backend makes of them is its own affair.
 */
const OPTIONS: Options = {
  strict: false,
  validateFormats: false,
  logger: false,
  // Values and their schemas stand in the faults, for whoever describes them.
  verbose: true,
  // A property that only the prototype has is none.
  ownProperties: true,
  // 19.99 is a multiple of 0.01, whatever binary fractions make of it.
  multipleOfPrecision: 9,
  // Inlined references make the code larger than the schema; the optimiser takes longer than it ever saves.
  inlineRefs: false,
  code: { optimize: false, regExp: Object.assign(compilePattern, { code: "compilePattern" }) },
};

const require = createRequire(import.meta.url);

// Loaded with the first schema, and at once: who checks no arguments does not wait for it at the start.
const COMPILERS = {
  "2020-12": (options: Options) => {
    // The file exports the class that its types name.
    const module = require("ajv/dist/2020.js") as { readonly Ajv2020: typeof Ajv2020 };
    return new module.Ajv2020(options);
  },
  "draft-07": (options: Options) => {
    // The file exports the class that its types name.
    const module = require("ajv/dist/ajv.js") as { readonly Ajv: typeof Ajv };
    return new module.Ajv(options);
  },
} as const satisfies Record<Dialect, (options: Options) => Ajv | Ajv2020>;

const META_SCHEMA_IDS = {
  "2020-12": "https://json-schema.org/draft/2020-12/schema",
  "draft-07": "http://json-schema.org/draft-07/schema",
} as const satisfies Record<Dialect, string>;

/** Compiles schemas. Those of the dialects themselves are compiled once, at first use. */
export class SchemaCompiler {
  readonly #metaSchemas = new Map<Dialect, Ajv | Ajv2020>();

  /** Compiles the schema of the dialect itself, which takes tens of milliseconds the first time. */
  prepare(dialect: Dialect): Ajv | Ajv2020 {
    const known = this.#metaSchemas.get(dialect);
    if (known !== undefined) return known;
    const metaSchemas = COMPILERS[dialect](OPTIONS);
    metaSchemas.getSchema(META_SCHEMA_IDS[dialect]);
    this.#metaSchemas.set(dialect, metaSchemas);
    return metaSchemas;
  }

  /** Throws where the schema is none of its dialect, or cannot be compiled. */
  compile(schema: JsonObject, dialect: Dialect): FaultsOf {
    const metaSchemas = this.prepare(dialect);
    if (!metaSchemas.validate(META_SCHEMA_IDS[dialect], schema)) {
      const faults = metaSchemas.errorsText(metaSchemas.errors, { dataVar: "schema" });
      throw new VmcpError("invalid_argument", `it is no schema of ${dialect}: ${faults}`);
    }
    // One compiler per schema: identifiers inside of one must not lead into that of another backend.
    const validate = COMPILERS[dialect]({ ...OPTIONS, validateSchema: false }).compile(schema);
    return (value) => (validate(value) ? undefined : (validate.errors ?? []));
  }
}
