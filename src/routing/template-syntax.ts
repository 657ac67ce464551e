/** A stretch of a URI template: text that stands for itself, or an expression in braces. */
export type TemplatePart =
  | { readonly kind: "literal"; readonly text: string }
  | {
      readonly kind: "expression";
      readonly operator: Operator;
      /** Whether the expansion can hold several path segments: `{path*}`, `{/path*}`, `{/a,b}`. */
      readonly spansSegments: boolean;
    };

/** The first character of an expression, which says how its variables expand (RFC 6570, section 2.2). */
export type Operator = "" | (typeof OPERATORS)[number];

/** Reads a URI template (RFC 6570). Undefined where braces or expressions are not well-formed. */
export function parseTemplate(template: string): readonly TemplatePart[] | undefined {
  const parts: TemplatePart[] = [];
  let at = 0;
  while (at < template.length) {
    const open = indexOrEnd(template, "{", at);
    const text = template.slice(at, open);
    if (text.includes("}")) return undefined;
    if (text !== "") parts.push({ kind: "literal", text });
    if (open === template.length) break;

    const close = template.indexOf("}", open);
    const expression = close === -1 ? undefined : parseExpression(template.slice(open + 1, close));
    if (expression === undefined) return undefined;
    parts.push(expression);
    at = close + 1;
  }
  return parts;
}

const OPERATORS = ["+", "#", ".", "/", ";", "?", "&"] as const;

/** `{`, and the operators that are reserved for extensions. */
const FORBIDDEN_IN_EXPRESSION = /[{=!@|\s]/;

/** At most four digits of prefix length, or an explode mark (RFC 6570, section 2.4). */
const VARIABLE = /^[^*:]+(?:\*|:[0-9]{1,4})?$/;

function parseExpression(body: string): TemplatePart | undefined {
  const operator = OPERATORS.find((candidate) => body.startsWith(candidate)) ?? "";
  const variables = body.slice(operator.length).split(",");
  const isWellFormed =
    !FORBIDDEN_IN_EXPRESSION.test(body) && variables.every((variable) => VARIABLE.test(variable));
  if (!isWellFormed) return undefined;
  return {
    kind: "expression",
    operator,
    spansSegments:
      variables.some((variable) => variable.endsWith("*")) ||
      (operator === "/" && variables.length > 1),
  };
}

function indexOrEnd(text: string, character: string, from: number): number {
  const index = text.indexOf(character, from);
  return index === -1 ? text.length : index;
}
