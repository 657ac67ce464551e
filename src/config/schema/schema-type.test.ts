import { expect, test } from "vitest";
import type { z } from "zod";
import { configSchema } from "./config-schema.ts";
import { configSchemaNode, type SchemaNode } from "./json-schema.ts";
import { childType, keysOf, supportOf, typeAt } from "./schema-type.ts";

type Field = readonly [path: string, said: readonly unknown[], type: z.core.$ZodType | undefined];

/** Each field of the JSON Schema, what it says of its support, and its type. */
function fieldsOf(
  node: SchemaNode,
  type: z.core.$ZodType | undefined,
  path: string,
): readonly Field[] {
  const below: [string | number, SchemaNode][] = Object.entries(node.properties ?? {});
  if (node.items !== undefined) below.push([0, node.items]);
  if (typeof node.additionalProperties === "object") below.push(["any", node.additionalProperties]);
  return [
    [path, [node.support, node.refusedValues], type],
    ...below.flatMap(([segment, child]) => {
      const childOfType = type === undefined ? undefined : childType(type, segment);
      return fieldsOf(child, childOfType, `${path}.${segment}`);
    }),
  ];
}

const FIELDS = fieldsOf(configSchemaNode(), configSchema, "");

test("what a type says of its support is what the JSON Schema says, for every field", () => {
  const said = FIELDS.map(([path, fromSchema, type]) => {
    const { support, refusedValues } = type === undefined ? {} : supportOf(type);
    return { path, isKnown: type !== undefined, fromSchema, fromType: [support, refusedValues] };
  });

  expect(
    said.filter(({ fromSchema }) => fromSchema.some((each) => each !== undefined)).length,
  ).toBeGreaterThan(10);
  expect(said).toEqual(
    FIELDS.map(([path, fromSchema]) => ({ path, isKnown: true, fromSchema, fromType: fromSchema })),
  );
});

test("a path leads through lists, and the keys there are those that stand in a file", () => {
  const stdio = typeAt(["backends", 3, "stdio"]);

  expect(stdio && keysOf(stdio)).toEqual(["command", "args", "env", "cwd"]);
  expect(typeAt(["backends", "first"])).toBeUndefined();
});

test("a key that a type does not have leads nowhere", () => {
  expect(childType(configSchema, "no-such-key")).toBeUndefined();
  expect(childType(configSchema, "toString")).toBeUndefined();
  expect(childType(configSchema, 0)).toBeUndefined();
});
