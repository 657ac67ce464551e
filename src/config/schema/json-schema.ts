import { z } from "zod";
import type { ConfigPath } from "../problems.ts";
import { configSchema } from "./config-schema.ts";
import type { KindMeta, SupportMeta } from "./fields.ts";

/** What is read of a JSON Schema node here: structure, documentation and how far a field is supported. */
export interface SchemaNode extends SupportMeta, KindMeta {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly SchemaNode[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | SchemaNode;
  readonly items?: SchemaNode;
}

let configNode: SchemaNode | undefined;

/** The configuration's schema as JSON Schema (draft 2020-12) of what stands in a file; made once. */
export function configSchemaNode(): SchemaNode {
  // The generator's own type allows booleans in every position; for our schemas it gives objects.
  configNode ??= z.toJSONSchema(configSchema, { io: "input" }) as SchemaNode;
  return configNode;
}

/** The schema of the value at a path; undefined where the path leaves the schema. */
export function schemaNodeAt(path: ConfigPath): SchemaNode | undefined {
  return path.reduce<SchemaNode | undefined>(
    (node, segment) => (node === undefined ? undefined : childNode(node, segment)),
    configSchemaNode(),
  );
}

/** The schema of one key or item of a value that has this schema. */
function childNode(node: SchemaNode, segment: string | number): SchemaNode | undefined {
  if (typeof segment === "number") return node.items;
  if (node.properties !== undefined && Object.hasOwn(node.properties, segment)) {
    return node.properties[segment];
  }
  return typeof node.additionalProperties === "object" ? node.additionalProperties : undefined;
}
