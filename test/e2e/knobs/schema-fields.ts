import { configSchemaNode, type SchemaNode } from "../../../src/config/schema/json-schema.ts";

/** One field of the configuration that is neither refused nor ignored. */
export interface SupportedField {
  /** With `[]` for items and `NAME` for keys that are free. */
  readonly path: string;
  /** Values that the schema knows and this version refuses. */
  readonly refusedValues: readonly unknown[];
  /** One value is left, so that there is nothing to turn. */
  readonly isFixed: boolean;
}

/** Every field that stands for something this version does, from the schema itself. */
export function supportedFields(): readonly SupportedField[] {
  return fieldsBelow(configSchemaNode(), "");
}

function fieldsBelow(node: SchemaNode, path: string): readonly SupportedField[] {
  if (node.support !== undefined) return [];
  const { inner, prefix } = membersOf(node, path);
  if (inner === undefined) return [toField(node, path)];
  return Object.entries(inner).flatMap(([name, child]) => fieldsBelow(child, `${prefix}${name}`));
}

/** The members of an object, of the items of a list, or of the values of a map. */
function membersOf(
  { properties, items, additionalProperties: values }: SchemaNode,
  path: string,
): { readonly inner: SchemaNode["properties"]; readonly prefix: string } {
  if (properties !== undefined) return { inner: properties, prefix: path === "" ? "" : `${path}.` };
  if (items?.properties !== undefined) return { inner: items.properties, prefix: `${path}[].` };
  const ofValues = typeof values === "object" ? values.properties : undefined;
  return { inner: ofValues, prefix: `${path}.NAME.` };
}

function toField(node: SchemaNode, path: string): SupportedField {
  const refusedValues: readonly unknown[] = node.refusedValues ?? [];
  const values: readonly unknown[] = node.type === "boolean" ? [true, false] : (node.enum ?? []);
  const left = values.filter((value) => !refusedValues.includes(value));
  return { path, refusedValues, isFixed: left.length === 1 };
}
