import { isJsonObject, type JsonObject, type JsonValue } from "../domain/json.ts";

/**
 * An expression of a policy as Cedar's JSON format has it: an object with one member, whose key says what it is.
 *
 * Source: Cedar documentation, "JSON policy format", section "JsonExpr objects".
 */
export type Expression = JsonObject;

/** The key and the content of an expression. */
export function partsOf(expression: Expression): readonly [string, JsonValue | undefined] {
  const [key = ""] = Object.keys(expression);
  return [key, expression[key]];
}

/** Members of an operator that are expressions in turn; all others are names, patterns and types. */
const OPERANDS = ["left", "right", "arg", "if", "then", "else", "in"] as const;

const LEAVES: ReadonlySet<string> = new Set(["Value", "Var", "Slot"]);

/** The expressions that an expression is made of. */
export function operandsOf(expression: Expression): readonly Expression[] {
  const [key, content] = partsOf(expression);
  if (LEAVES.has(key)) return [];
  if (Array.isArray(content)) return content.filter(isJsonObject);
  if (!isJsonObject(content)) return [];
  if (key === "Record") return Object.values(content).filter(isJsonObject);
  return OPERANDS.flatMap((name) => {
    const operand = content[name];
    return isJsonObject(operand) ? [operand] : [];
  });
}

/** The attributes that this very expression asks for, not those below it. */
export function attributesOf(expression: Expression): readonly string[] {
  const [key, content] = partsOf(expression);
  if ((key !== "." && key !== "has") || !isJsonObject(content)) return [];
  const { attr } = content;
  const names = Array.isArray(attr) ? attr : [attr];
  return names.filter((name) => typeof name === "string");
}

/** Whether this is `context` itself. */
export function isContext(expression: Expression): boolean {
  return expression["Var"] === "context";
}
