import { expect, test } from "vitest";
import type { ConfigPath } from "../problems.ts";
import { pathText } from "../problems.ts";
import { configSchema } from "./config-schema.ts";
import type { SchemaNode } from "./json-schema.ts";
import { configSchemaNode } from "./json-schema.ts";
import { describeIssues } from "./schema-problems.ts";
import { findUnsupported } from "./unsupported.ts";

/** Where a value stands that is one of a few texts; list positions are 0 and free keys `key`. */
function choicesBelow(node: SchemaNode, path: ConfigPath): readonly ConfigPath[] {
  const { enum: choices, anyOf = [], properties = {}, items, additionalProperties: values } = node;
  return [
    ...(choices === undefined ? [] : [path]),
    ...anyOf.flatMap((form) => choicesBelow(form, path)),
    ...Object.entries(properties).flatMap(([key, inner]) => choicesBelow(inner, [...path, key])),
    ...(items === undefined ? [] : choicesBelow(items, [...path, 0])),
    ...(typeof values === "object" ? choicesBelow(values, [...path, "key"]) : []),
  ];
}

function nested([first, ...rest]: ConfigPath, value: unknown): unknown {
  if (first === undefined) return value;
  const inner = nested(rest, value);
  return first === 0 ? [inner] : { [first]: inner };
}

/** What is said of the value at that path alone. */
function saidOf(path: ConfigPath, value: unknown): readonly string[] {
  const raw = nested(path, value);
  return describeIssues(configSchema.safeParse(raw).error?.issues ?? [], raw, new Set())
    .filter((found) => pathText(found.path) === pathText(path))
    .map(({ message, suggestion }) => [message, suggestion].filter(Boolean).join(" | "));
}

test.for(choicesBelow(configSchemaNode(), []).map((path) => [pathText(path), path] as const))(
  "%s names the choices that can be made, each of them with a word",
  ([, path]) => {
    const [said = ""] = saidOf(path, "wrong");

    expect(said).toMatch(/^must be (?:one of )?[^ ,]+(?:, [^ ,]+)*, not "wrong"$/);
    const choices = said.replace(/^must be (?:one of )?/, "").replace(/, not "wrong"$/, "");
    for (const choice of choices.split(", ")) {
      expect(saidOf(path, choice)).toEqual([]);
      // What this version refuses is no choice, unless the whole block is refused.
      const refused = findUnsupported(nested(path, choice))
        .filter(({ severity }) => severity === "problem")
        .map((found) => pathText(found.path));
      expect(refused).not.toContain(pathText(path));
    }
  },
);

test.for([
  ["stdio", "stdio"],
  ["sse", "sse"],
  ["http", "streamable-http"],
  ["streamable-http", "streamable-http"],
  ["streamableHttp", "streamable-http"],
])('the type "%s" of a backend is told to be written as transport: %s', ([word, transport]) => {
  const said = saidOf(["backends", 0, "type"], word);

  expect(said).toEqual([`does not choose the transport | write transport: ${transport}`]);
});

test.for([
  ["streamableHttp", "streamable-http"],
  ["http", "streamable-http"],
  ["SSE", "sse"],
  ["local", "stdio"],
])('the transport "%s" is taken for %s', ([word, transport]) => {
  const [said] = saidOf(["backends", 0, "transport"], word);

  expect(said).toMatch(new RegExp(`, not "${word}" \\| did you mean "${transport}"\\?$`));
});

test("a number of workers that cannot be is told what would do", () => {
  expect(saidOf(["server", "workers"], "many")).toEqual([
    "must be auto, or a whole number from 1 to 64",
  ]);
});
