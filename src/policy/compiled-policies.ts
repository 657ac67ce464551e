import type { JsonObject } from "../domain/json.ts";
import { VmcpError } from "../domain/errors.ts";
import { PolicySet, readPolicy, type PolicyJson } from "../lib/cedar.ts";
import { forbidItsScope, withAnyArguments } from "./approximation.ts";
import { mentionsArguments, mentionsOf, mergedMentions, type Mentions } from "./mentions.ts";

/** The policies of one configuration, parsed once. */
export interface CompiledPolicies {
  readonly mentions: Mentions;
  /** The policies as they are written. */
  readonly exact: PolicySet;
  /** Undefined where no policy asks for the arguments of a call. */
  readonly byArguments: ArgumentPolicies | undefined;
}

/** What stands for the policies while the arguments are not known. */
interface ArgumentPolicies {
  /** Ids of the policies that ask for arguments. */
  readonly ids: ReadonlySet<string>;
  /** What these deny is denied whatever the arguments are. */
  readonly withAny: PolicySet;
  /** What these allow is allowed whatever the arguments are. */
  readonly whatever: PolicySet;
}

/** Throws `invalid_config` where a text is not a policy. A policy's id is its place in the configuration. */
export function compilePolicies(texts: readonly string[]): CompiledPolicies {
  const policies = texts.map((text, index) => {
    const id = `policies[${index}]`;
    const json = parse(id, text);
    return { id, text, json, mentions: mentionsOf(json) };
  });
  const asWritten = policies.map(({ id, text }) => [id, text] as const);
  const dependent = policies.filter(({ mentions }) => mentionsArguments(mentions));
  const replaced = (by: (policy: JsonObject) => JsonObject): PolicySet => {
    const set = new Map<string, string | PolicyJson>(asWritten);
    // The engine is told what it told us, in its own format.
    for (const { id, json } of dependent) set.set(id, by(json) as unknown as PolicyJson);
    return prepared(set);
  };
  return {
    mentions: mergedMentions(policies.map(({ mentions }) => mentions)),
    exact: prepared(new Map(asWritten)),
    byArguments:
      dependent.length === 0
        ? undefined
        : {
            ids: new Set(dependent.map(({ id }) => id)),
            withAny: replaced(withAnyArguments),
            whatever: replaced(forbidItsScope),
          },
  };
}

function prepared(policies: ReadonlyMap<string, string | PolicyJson>): PolicySet {
  const made = PolicySet.of(policies);
  if ("set" in made) return made.set;
  throw new VmcpError("invalid_config", `incomingAuth.authz.policies: ${made.fault}`);
}

function parse(id: string, text: string): JsonObject {
  const read = readPolicy(text);
  if ("fault" in read) {
    throw new VmcpError("invalid_config", `incomingAuth.authz.${id}: ${read.fault}`);
  }
  // What the engine calls a policy in JSON is a JSON object.
  return read.policy as unknown as JsonObject;
}
