import { z } from "zod";
import { configSchema } from "./schema/config-schema.ts";
import type { SchemaNode } from "./schema/json-schema.ts";
import { configSchemaNode } from "./schema/json-schema.ts";

const NOT_YET = "Not available in this version; its use is an error.";
const NO_EFFECT = "Accepted, without effect in this version.";

/** Of our own; editors would take them for mistakes. */
const META_KEYS = ["support", "refusedValues", "kind"] as const;

const INTRODUCTION = `# Configuration reference

Generated from the schema; do not edit. YAML (1.2) or JSON with comments, at most 1 MiB and 5,000 keys.
Unknown fields are errors, and every problem is reported at once. Durations are written \`500ms\`, \`30s\`,
\`1m30s\` or \`2h\`; sizes \`16MiB\`, \`64KiB\` or a number of bytes.

References work in every text: \`\${env:NAME}\` or \`\${NAME}\`, \`\${NAME:-default}\`, and \`\${file:/path}\`. One
that resolves to nothing is an error. \`$\${\` stands for a literal \`\${\`. Relative paths start at the folder of
the configuration file.

Besides the fields below, \`mcpServers\` takes servers as MCP clients write them; they are added to \`backends\`.
A client's own configuration file can be given instead of this one. Where \`maxSessions\` is not set, the
environment variable \`TOOLHIVE_MAX_SESSIONS\` is read.
`;

interface Row {
  readonly field: string;
  readonly node: SchemaNode;
  readonly isRequired: boolean;
}

/** The reference page of the configuration, as Markdown. */
export function renderReference(): string {
  const root = configSchemaNode();
  const sections = Object.entries(root.properties ?? {}).map(([name, node]) => {
    const rows = rowsOf(name, node, false);
    return `## ${name}\n\n${tableOf(rows)}\n`;
  });
  return `${INTRODUCTION}\n${sections.join("\n")}`;
}

/** The JSON Schema (draft 2020-12) of the configuration file, for editors. */
export function renderJsonSchema(): string {
  const schema = z.toJSONSchema(configSchema, {
    io: "input",
    override: ({ jsonSchema }) => {
      // The generator's own type does not know the keys of our metadata.
      const { description, ...meta } = jsonSchema as SchemaNode;
      for (const key of META_KEYS) delete jsonSchema[key];
      const text = sentences(description, supportNote(meta));
      if (text !== "") jsonSchema.description = text;
    },
  });
  const { properties, ...rest } = schema;
  const mcpServers = {
    type: "object",
    description: "Servers as MCP clients write them; added to `backends`.",
    additionalProperties: { type: "object" },
  };
  const title = "vmcp configuration";
  return `${JSON.stringify({ title, ...rest, properties: { ...properties, mcpServers } }, undefined, 2)}\n`;
}

function rowsOf(field: string, node: SchemaNode, isRequired: boolean): readonly Row[] {
  const own = { field, node, isRequired };
  if (node.support === "refused") return [own];
  if (node.support === "ignored") return [own, ...childRows(field, node).filter(isRefused)];
  const items = node.items === undefined ? [] : childRows(`${field}[]`, node.items);
  const values = node.additionalProperties;
  const named = typeof values === "object" ? childRows(`${field}.NAME`, values) : [];
  return [own, ...childRows(field, node), ...items, ...named];
}

function isRefused({ node }: Row): boolean {
  return node.support === "refused" || node.refusedValues !== undefined;
}

function childRows(field: string, node: SchemaNode): readonly Row[] {
  const required = new Set(node.required);
  return Object.entries(node.properties ?? {}).flatMap(([name, child]) =>
    rowsOf(`${field}.${name}`, child, required.has(name)),
  );
}

function tableOf(rows: readonly Row[]): string {
  const lines = rows.map(({ field, node, isRequired }) => {
    const initial = isRequired ? "required" : defaultOf(node);
    const text = sentences(node.description, supportNote(node)).replaceAll("|", "\\|");
    return `| \`${field}\` | ${typeOf(node)} | ${initial} | ${text} |`;
  });
  return ["| field | type | default | meaning |", "| --- | --- | --- | --- |", ...lines].join("\n");
}

function supportNote({
  support,
  refusedValues,
}: Pick<SchemaNode, "support" | "refusedValues">): string {
  if (support === "refused") return NOT_YET;
  const values = refusedValues?.map((value) => `\`${String(value)}\``).join(", ");
  const refusal = values === undefined ? "" : `Not available in this version: ${values}.`;
  return support === "ignored" ? NO_EFFECT : refusal;
}

function sentences(...parts: readonly (string | undefined)[]): string {
  return parts.filter((part) => part !== undefined && part !== "").join(" ");
}

function typeOf(node: SchemaNode): string {
  if (node.kind !== undefined) return node.kind;
  if (node.anyOf !== undefined) return [...new Set(node.anyOf.map(typeOf))].join(" or ");
  const choices = node.enum ?? (node.const === undefined ? undefined : [node.const]);
  if (choices !== undefined)
    return choices
      .map((choice) => `\`${JSON.stringify(choice)}\``)
      .join(", ")
      .replaceAll('"', "");
  if (node.type !== "array") return WORDS.get(node.type ?? "") ?? "any";
  return node.items === undefined ? "list" : `list of ${typeOf(node.items)}`;
}

const WORDS = new Map([
  ["string", "text"],
  ["integer", "whole number"],
  ["number", "number"],
  ["boolean", "true or false"],
  ["object", "mapping"],
]);

function defaultOf(node: SchemaNode): string {
  const value = node.default;
  if (value === undefined || (typeof value === "object" && Object.keys(value ?? {}).length === 0)) {
    return "";
  }
  return `\`${typeof value === "string" ? value : JSON.stringify(value)}\``;
}
