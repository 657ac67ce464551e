import { isJsonObject, type JsonObject } from "../domain/json.ts";
import { partsOf, type Expression } from "./expression.ts";
import { clausesOf, dependsOnArguments } from "./mentions.ts";

const TRUE: Expression = { Value: true };
const FALSE: Expression = { Value: false };

/**
 * A policy that says of a call whose arguments are not known yet what it might say of any.
 *
 * A permit permits what it permits with some arguments, and a forbid forbids what it forbids with all: what these
 * policies deny together, those that they were made of deny whatever the arguments are. Not the other way round.
 */
export function withAnyArguments(policy: JsonObject): JsonObject {
  const mayHold = policy["effect"] === "permit";
  return {
    ...policy,
    conditions: clausesOf(policy).map(({ kind, body }) => ({
      kind,
      body: approximate(body, kind === "when" ? mayHold : !mayHold),
    })),
  };
}

/**
 * Forbids everything of which a policy says something at all. Where that leaves a permission in place, the arguments do
 * not matter to the policy.
 */
export function forbidItsScope(policy: JsonObject): JsonObject {
  return { ...policy, effect: "forbid", conditions: [] };
}

/**
 * Replaces what depends on arguments by the truth value that makes the whole true as often as possible (`mayHold`), or
 * as seldom.
 */
function approximate(expression: Expression, mayHold: boolean): Expression {
  if (!dependsOnArguments(expression)) return expression;
  const [key, content] = partsOf(expression);
  if (!isJsonObject(content)) return mayHold ? TRUE : FALSE;
  const inner = (name: string, isLikely: boolean): Expression => {
    const operand = content[name];
    return isJsonObject(operand) ? approximate(operand, isLikely) : FALSE;
  };
  switch (key) {
    case "&&":
    case "||":
      return { [key]: { left: inner("left", mayHold), right: inner("right", mayHold) } };
    case "!":
      return { "!": { arg: inner("arg", !mayHold) } };
    default:
      return mayHold ? TRUE : FALSE;
  }
}
