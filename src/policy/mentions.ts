import { isJsonObject, type JsonObject, type JsonValue } from "../domain/json.ts";
import { attributesOf, isContext, operandsOf, partsOf, type Expression } from "./expression.ts";

/** Attributes that hold the arguments of a call begin so. */
export const ARGUMENT_PREFIX = "arg_";

/** What a policy can tell apart; everything else it cannot depend on. */
export interface Mentions {
  readonly attributes: ReadonlySet<string>;
  /** It looks at the context as a whole, and so at all that is in it. */
  readonly hasWholeContext: boolean;
  /** Every entity that is named, as `toEntityKey` has it. */
  readonly entities: ReadonlySet<string>;
}

/** What a policy mentions, in Cedar's JSON format. */
export function mentionsOf(policy: JsonObject): Mentions {
  const found = {
    attributes: new Set<string>(),
    hasWholeContext: false,
    entities: new Set<string>(),
  };
  for (const scope of ["principal", "action", "resource"])
    noteEntities(policy[scope], found.entities);
  for (const body of conditionsOf(policy)) note(body, found);
  return found;
}

/** Several policies mention what any of them does. */
export function mergedMentions(all: readonly Mentions[]): Mentions {
  return {
    attributes: new Set(all.flatMap(({ attributes }) => [...attributes])),
    hasWholeContext: all.some(({ hasWholeContext }) => hasWholeContext),
    entities: new Set(all.flatMap(({ entities }) => [...entities])),
  };
}

/** Whether anything below depends on the arguments of a call. */
export function mentionsArguments({ attributes, hasWholeContext }: Mentions): boolean {
  return hasWholeContext || [...attributes].some((name) => name.startsWith(ARGUMENT_PREFIX));
}

/** As `mentionsArguments`, of one expression. */
export function dependsOnArguments(expression: Expression): boolean {
  const found = {
    attributes: new Set<string>(),
    hasWholeContext: false,
    entities: new Set<string>(),
  };
  note(expression, found);
  return mentionsArguments(found);
}

/** The bodies of all `when` and `unless` clauses. */
function conditionsOf(policy: JsonObject): readonly Expression[] {
  return clausesOf(policy).map(({ body }) => body);
}

/** All `when` and `unless` clauses. */
export function clausesOf(
  policy: JsonObject,
): readonly { readonly kind: string; readonly body: Expression }[] {
  const { conditions } = policy;
  if (!Array.isArray(conditions)) return [];
  return conditions.flatMap((clause: JsonValue) => {
    if (!isJsonObject(clause)) return [];
    const { kind, body } = clause;
    return typeof kind === "string" && isJsonObject(body) ? [{ kind, body }] : [];
  });
}

interface Found {
  readonly attributes: Set<string>;
  hasWholeContext: boolean;
  readonly entities: Set<string>;
}

function note(expression: Expression, found: Found): void {
  const attributes = attributesOf(expression);
  for (const name of attributes) found.attributes.add(name);
  const [key, content] = partsOf(expression);
  if (key === "Value") noteEntities(content, found.entities);
  for (const operand of operandsOf(expression)) {
    // One attribute of the context is asked for, which is noted above.
    if (isContext(operand) && attributes.length > 0) continue;
    note(operand, found);
  }
  if (isContext(expression)) found.hasWholeContext = true;
}

/** Entities anywhere in a value or in a scope, in either way to write them. */
export function noteEntities(value: JsonValue | undefined, found: Set<string>): void {
  if (Array.isArray(value)) {
    for (const item of value) noteEntities(item, found);
    return;
  }
  if (!isJsonObject(value)) return;
  const { type, id } = value;
  if (typeof type === "string" && typeof id === "string") found.add(toEntityKey({ type, id }));
  for (const item of Object.values(value)) noteEntities(item, found);
}

/** One text per entity. No type holds a space. */
export function toEntityKey({ type, id }: { readonly type: string; readonly id: string }): string {
  return `${type} ${id}`;
}
