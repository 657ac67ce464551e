import { createRequire } from "node:module";
import process from "node:process";
import { setFlagsFromString } from "node:v8";
import type * as cedar from "@cedar-policy/cedar-wasm/nodejs";
import type {
  Context,
  DetailedError,
  EntityJson,
  PolicyJson,
  TypeAndId,
} from "@cedar-policy/cedar-wasm/nodejs";

type Engine = typeof cedar;

export type { Context, EntityJson, PolicyJson, TypeAndId };

/** One question to a set of policies. */
export interface PolicyQuestion {
  readonly principal: TypeAndId;
  readonly action: TypeAndId;
  readonly resource: TypeAndId;
  readonly context: Context;
  readonly entities: readonly EntityJson[];
}

/** The answer: what it is, which policies decided it, and which could not be evaluated. */
export interface PolicyAnswer {
  readonly isAllowed: boolean;
  /** Ids of the policies that decided; empty where none permits. */
  readonly deciding: readonly string[];
  readonly failed: readonly { readonly policy: string; readonly message: string }[];
}

let loaded: Engine | undefined;

/**
 * The engine is 13 MB and takes some 100 ms to load, so that only those pay for it who have policies. It is loaded at
 * once and not by a promise: a configuration is checked before anything else may happen.
 */
function engine(): Engine {
  loaded ??= load();
  return loaded;
}

function load(): Engine {
  // V8 up to Node 22 ends the process ("unreachable code" in the deoptimizer) when optimised code, into which a call of
  // WebAssembly was inlined, is given up during that call. It happens within minutes of use, and not without inlining.
  if (Number.parseInt(process.versions.node, 10) < FIRST_SOUND_NODE) {
    setFlagsFromString("--no-turbo-inline-js-wasm-calls");
  }
  // The package's own types describe what it exports.
  return createRequire(import.meta.url)("@cedar-policy/cedar-wasm/nodejs") as Engine;
}

const FIRST_SOUND_NODE = 24;

/** Ids under which the engine keeps sets that nobody holds any more. */
const freeIds: string[] = [];
let idCount = 0;

/** The engine never forgets a set by itself: its place is given to the next one. */
const abandoned = new FinalizationRegistry<string>((id) => {
  engine().preparsePolicySet(id, {});
  freeIds.push(id);
});

/** Policies that were parsed once and are asked many times. Its place in the engine is reused when it is garbage. */
export class PolicySet {
  readonly #id: string;

  private constructor(id: string) {
    this.#id = id;
    abandoned.register(this, id);
  }

  /** The set of these policies by their ids; otherwise what is wrong with one of them. */
  static of(
    policies: ReadonlyMap<string, string | PolicyJson>,
  ): { readonly set: PolicySet } | { readonly fault: string } {
    const id = freeIds.pop() ?? `set${(idCount += 1)}`;
    const answer = engine().preparsePolicySet(id, { staticPolicies: Object.fromEntries(policies) });
    if (answer.type === "success") return { set: new PolicySet(id) };
    freeIds.push(id);
    return { fault: describe(answer.errors) };
  }

  /** Never throws: what cannot be asked is denied, with a failure that names no policy. */
  ask({ entities, ...question }: PolicyQuestion): PolicyAnswer {
    try {
      const answer = engine().statefulIsAuthorized({
        ...question,
        entities: [...entities],
        preparsedPolicySetId: this.#id,
      });
      if (answer.type === "failure") return unanswered(describe(answer.errors));
      const { decision, diagnostics } = answer.response;
      return {
        isAllowed: decision === "allow",
        deciding: diagnostics.reason,
        failed: diagnostics.errors.map(({ policyId, error }) => ({
          policy: policyId,
          message: error.message,
        })),
      };
    } catch {
      // Texts that are not Unicode, for example, have no JSON.
      return unanswered("the question cannot be put to the engine");
    }
  }
}

/** The one policy that a text is, in the engine's own JSON; otherwise what is wrong with the text. */
export function readPolicy(
  text: string,
): { readonly policy: PolicyJson } | { readonly fault: string } {
  const answer = engine().policyToJson(text);
  if (answer.type === "failure") return { fault: describe(answer.errors, text) };
  return { policy: answer.json };
}

/** What is wrong with a list of entities; undefined where it can be used. */
export function entitiesFault(entities: unknown): string | undefined {
  if (!Array.isArray(entities)) return "must be a list of entities";
  // The engine is who says whether they are.
  const answer = engine().checkParseEntities({ entities: entities as EntityJson[] });
  return answer.type === "failure" ? describe(answer.errors) : undefined;
}

/** Whether entities may have this type. */
export function isEntityType(name: string): boolean {
  return "policy" in readPolicy(`permit(principal is ${name}, action, resource);`);
}

function unanswered(message: string): PolicyAnswer {
  return { isAllowed: false, deciding: [], failed: [{ policy: "", message }] };
}

/** The first error is the cause, and the others follow from it. */
function describe([first]: readonly DetailedError[], source?: string): string {
  if (first === undefined) return "cannot be used";
  const message = first.message.replace(/^failed to parse policy from string: /, "");
  const [place] = first.sourceLocations ?? [];
  if (source === undefined || place === undefined) return message;
  const expected = place.label === null ? "" : `, ${place.label}`;
  return `${message}${expected} (${positionOf(source, place.start)})`;
}

/** The engine counts bytes. */
function positionOf(source: string, offset: number): string {
  const before = Buffer.from(source).subarray(0, offset).toString();
  const lines = before.split("\n");
  return `line ${lines.length}, column ${(lines.at(-1)?.length ?? 0) + 1} of the policy`;
}
