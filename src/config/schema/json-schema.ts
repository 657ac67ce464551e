import { z } from "zod";
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
