import { createHash } from "node:crypto";
import type { ErrorObject } from "ajv/dist/ajv.js";
import { messageOf } from "../domain/errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../domain/json.ts";
import { SchemaCompiler, type FaultsOf } from "./compile-schema.ts";
import { dialectOf } from "./dialects.ts";
import { surveySchema, type SchemaLimits } from "./survey-schema.ts";
import { TimeBox } from "./time-box.ts";

/** What a check came to; `unchecked` says why nothing can be told. */
export type Verdict =
  | { readonly kind: "fits" }
  | { readonly kind: "faulty"; readonly faults: readonly ErrorObject[] }
  | { readonly kind: "unchecked"; readonly reason: string };

export interface ValidatorOptions {
  readonly limits: SchemaLimits;
  /** What compiling one schema may take: everybody waits for it. Default 250 ms. */
  readonly compileBudgetMs?: number;
  /** What one check may take: everybody waits for it. Default 100 ms. */
  readonly checkBudgetMs?: number;
  /** Schemas kept compiled, about 10 kB each; the least recently used is forgotten first. Default 1,000. */
  readonly maxSchemas?: number;
}

type Phase =
  | { readonly state: "raw" }
  | { readonly state: "ready"; readonly faultsOf: FaultsOf; readonly plainCost: number }
  | { readonly state: "unusable"; readonly reason: string };

/** One schema, as far as it was looked at. */
interface Entry {
  phase: Phase;
  overruns: number;
}

const COMPILE_BUDGET_MS = 250;
const CHECK_BUDGET_MS = 100;
const MAX_SCHEMAS = 1_000;
/** A machine that stalls may use up one budget, but hardly as many for one schema. */
const MAX_OVERRUNS = 3;
/** Sub-schemas times bytes up to which a plain check takes a few milliseconds at most and needs no watch. */
const MAX_UNWATCHED_COST = 1_000_000;

const FITS: Verdict = { kind: "fits" };
const RAW: Phase = { state: "raw" };
const UNREADABLE = unchecked("it is nested too deep to be read");

/**
 * Checks values by schemas that nobody vouches for. Never throws and never hangs: what cannot be checked in time, or at
 * all, is `unchecked`, and a schema that keeps running out of time is not tried again.
 *
 * A schema is compiled at its first use and kept by its content, so that equal ones are compiled once.
 */
export class Validators {
  readonly #options: ValidatorOptions;
  readonly #compiler = new SchemaCompiler();
  readonly #timeBox = new TimeBox();
  /** Undefined for a schema that has no text. */
  readonly #hashes = new WeakMap<JsonObject, string | undefined>();
  readonly #entries = new Map<string, Entry>();

  constructor(options: ValidatorOptions) {
    this.#options = options;
  }

  /** `bytes` tells how large the value is, which decides whether the check is watched. */
  check(schema: JsonValue, value: JsonValue, bytes: number): Verdict {
    if (!isJsonObject(schema)) return unchecked("it is no JSON object");
    const entry = this.#entryOf(schema);
    if (entry === undefined) return UNREADABLE;
    try {
      return this.#checkBy(entry, schema, value, bytes);
    } catch (error) {
      return this.#giveUp(entry, messageOf(error));
    }
  }

  #checkBy(entry: Entry, schema: JsonObject, value: JsonValue, bytes: number): Verdict {
    if (entry.phase.state === "raw") entry.phase = this.#compile(schema);
    const { phase } = entry;
    if (phase.state === "raw") return this.#overrun(entry);
    if (phase.state === "unusable") return unchecked(phase.reason);
    if (phase.plainCost * bytes <= MAX_UNWATCHED_COST) return toVerdict(phase.faultsOf(value));
    const { checkBudgetMs = CHECK_BUDGET_MS } = this.#options;
    const checked = this.#timeBox.run(() => phase.faultsOf(value), checkBudgetMs);
    return checked.isDone ? toVerdict(checked.value) : this.#overrun(entry);
  }

  /** Still raw where that takes too long. */
  #compile(schema: JsonObject): Phase {
    const survey = surveySchema(schema, this.#options.limits);
    if (survey.fault !== undefined) return { state: "unusable", reason: survey.fault };
    const dialect = dialectOf(schema);
    if (dialect === undefined) return { state: "unusable", reason: "its dialect is not known" };
    // What is common to all schemas is nothing that this one has to pay for.
    this.#compiler.prepare(dialect);
    const { compileBudgetMs = COMPILE_BUDGET_MS } = this.#options;
    const compiled = this.#timeBox.run(
      () => this.#compiler.compile(schema, dialect),
      compileBudgetMs,
    );
    if (!compiled.isDone) return RAW;
    const plainCost = survey.isPlain ? survey.subSchemas : Number.POSITIVE_INFINITY;
    return { state: "ready", faultsOf: compiled.value, plainCost };
  }

  /** What was stopped in the middle may be in no usable state: it is made anew. */
  #overrun(entry: Entry): Verdict {
    entry.overruns += 1;
    entry.phase = RAW;
    const reason = "a check by it takes too long";
    return entry.overruns < MAX_OVERRUNS ? unchecked(reason) : this.#giveUp(entry, reason);
  }

  #giveUp(entry: Entry, reason: string): Verdict {
    entry.phase = { state: "unusable", reason };
    return unchecked(reason);
  }

  #entryOf(schema: JsonObject): Entry | undefined {
    const hash = this.#hashes.has(schema) ? this.#hashes.get(schema) : hashOf(schema);
    this.#hashes.set(schema, hash);
    if (hash === undefined) return undefined;
    const entry = this.#entries.get(hash) ?? { phase: RAW, overruns: 0 };
    this.#entries.delete(hash);
    this.#entries.set(hash, entry);
    const [oldest] = this.#entries.keys();
    const { maxSchemas = MAX_SCHEMAS } = this.#options;
    if (this.#entries.size > maxSchemas && oldest !== undefined) this.#entries.delete(oldest);
    return entry;
  }
}

function toVerdict(faults: readonly ErrorObject[] | undefined): Verdict {
  return faults === undefined ? FITS : { kind: "faulty", faults };
}

function unchecked(reason: string): Verdict {
  return { kind: "unchecked", reason };
}

function hashOf(schema: JsonObject): string | undefined {
  try {
    return createHash("sha256").update(JSON.stringify(schema)).digest("base64");
  } catch {
    return undefined;
  }
}
