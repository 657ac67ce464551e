import { expect, test } from "vitest";
import { resolveConfig } from "./load-config.ts";
import type { RawObject } from "./raw-values.ts";
import { isRawObject } from "./raw-values.ts";
import type { SchemaNode } from "./schema/json-schema.ts";
import { configSchemaNode } from "./schema/json-schema.ts";
import { findUnsupported } from "./schema/unsupported.ts";
import { problemPathsOf } from "./testing/parse.ts";

interface Leaf {
  /** With `[]` for items and `NAME` for keys that are free. */
  readonly field: string;
  readonly node: SchemaNode;
  readonly isIgnored: boolean;
}

/** Values that are valid and differ from the default, where none can be made up from the schema. */
const SAMPLES = new Map<string, unknown>([
  ["name", "other"],
  ["groupRef", "team"],
  ["group", "team"],
  ["backends[].name", "renamed"],
  ["backends[].url", "https://other.example/"],
  ["backends[].headers", { "X-Key": "v" }],
  ["backends[].caBundlePath", "ca.pem"],
  ["backends[].command", "other"],
  ["backends[].args", ["x"]],
  ["backends[].env", { A: "b" }],
  ["backends[].cwd", "folder"],
  ["backends[].timeouts.keepalive", "77s"],
  ["backends[].timeouts.tools", { slow: "77s" }],
  ["backends[].stdio.command", "other"],
  ["backends[].stdio.args", ["x"]],
  ["backends[].stdio.env", { A: "b" }],
  ["backends[].stdio.cwd", "folder"],
  ["aggregation.conflictResolutionConfig.prefixFormat", "{workload}."],
  ["aggregation.conflictResolutionConfig.priorityOrder", ["b1"]],
  ["aggregation.conflictResolution", "manual"],
  ["backends[].restart.backoffMin", "7s"],
  ["lockFile", "other.lock.json"],
  ["rateLimiting.tools[].name", "other"],
  ["audit.component", "edge"],
  ["audit.eventTypes", ["mcp_tool_call"]],
  ["audit.excludeEventTypes", ["mcp_tool_call"]],
  ["audit.logFile", "audit.log"],
  ["server.host", "localhost"],
  ["server.path", "/other"],
  ["server.allowedHosts", ["mcp.example"]],
  ["server.stateKeys", ["a secret"]],
  ["server.workers", "auto"],
  ["server.allowedOrigins", ["https://app.example"]],
]);

/** Fields whose effect is a rule, shown by other tests: they permit or refuse, or only count beside others. */
const RULES =
  /^(?:incomingAuth|outgoingAuth|admin|sessionStorage)\b|allowInsecureHttp|transport$|trustProxy|enabled$|^aggregation\.(?:tools|resources|prompts)\[\]|perWorkload/;

const BUCKET = { maxTokens: 1, refillPeriod: "1s" };

/** Limits of each kind, and clients who are told apart. */
const LIMITED: RawObject = {
  backends: [{ name: "b1", url: "https://b1.example/" }],
  operational: {},
  incomingAuth: {
    type: "apiKey",
    apiKey: { keys: [{ id: "k", subject: "s", sha256: "0".repeat(64) }] },
  },
  rateLimiting: {
    shared: BUCKET,
    perUser: BUCKET,
    tools: [{ name: "t", shared: BUCKET, perUser: BUCKET }],
  },
};

function leavesOf(node: SchemaNode, field: string, isIgnored: boolean): readonly Leaf[] {
  if (node.support === "refused") return [];
  const isBelowIgnored = isIgnored || node.support === "ignored";
  const inner = node.properties ?? node.items?.properties;
  if (inner === undefined || isBelowIgnored) return [{ field, node, isIgnored: isBelowIgnored }];
  const prefix = node.items === undefined ? field : `${field}[]`;
  return Object.entries(inner).flatMap(([name, child]) =>
    leavesOf(child, prefix === "" ? name : `${prefix}.${name}`, false),
  );
}

const LEAVES = leavesOf(configSchemaNode(), "", false);

function sampleFor({ field, node }: Leaf): unknown {
  if (SAMPLES.has(field)) return SAMPLES.get(field);
  if (node.kind === "duration") return "77s";
  if (node.kind === "size") return "77KiB";
  if (node.type === "boolean") return node.default !== true;
  if (node.type === "integer") return typeof node.default === "number" ? node.default + 1 : 7;
  const refused = new Set<unknown>(node.refusedValues);
  return node.enum?.find((value) => value !== node.default && !refused.has(value));
}

function baseFor(field: string): RawObject {
  if (field.startsWith("backends[].stdio")) {
    return { backends: [{ name: "b1", stdio: { command: "run" } }], operational: {} };
  }
  if (field.startsWith("rateLimiting")) return LIMITED;
  const isProgram = /^backends\[\]\.(?:command$|args$|env$|cwd$|restart\.)/.test(field);
  const backend = isProgram ? { command: "run" } : { url: "https://b1.example/" };
  return { backends: [{ name: "b1", ...backend }], operational: {} };
}

function withValue(base: unknown, segments: readonly string[], value: unknown): unknown {
  const [head = "", ...rest] = segments;
  if (head === "") return value;
  const object = isRawObject(base) ? base : {};
  const key = head.replace("[]", "");
  const list: unknown = object[key];
  const old: unknown = head.endsWith("[]") && Array.isArray(list) ? list[0] : object[key];
  const inner = withValue(old, rest, value);
  return { ...object, [key]: head.endsWith("[]") ? [inner] : inner };
}

const EFFECTIVE = LEAVES.filter(({ field, isIgnored }) => !isIgnored && !RULES.test(field));

test.for(EFFECTIVE)("$field changes the configuration", (leaf) => {
  const base = baseFor(leaf.field);
  const sample = sampleFor(leaf);
  const changed = withValue(base, leaf.field.split("."), sample);

  expect(sample).toBeDefined();
  expect(resolveConfig(changed)).not.toEqual(resolveConfig(base));
});

test.for(LEAVES.filter(({ isIgnored }) => isIgnored))(
  "$field has no effect and says so",
  (leaf) => {
    const raw = withValue(baseFor(leaf.field), leaf.field.split("."), {});

    expect(findUnsupported(raw)).toMatchObject([
      { severity: "warning", message: "has no effect in this version" },
    ]);
  },
);

test.for(LEAVES)("$field is described in a sentence", ({ node }) => {
  expect(node.description).toMatch(/^[A-Z`].*\.$/);
});

test("every duration and size is held to what timers and buffers can take", () => {
  const limited = LEAVES.filter(({ node }) => node.kind !== undefined);

  for (const { field, node } of limited) {
    const tooMuch = node.kind === "duration" ? "600h" : "9007199254740993";
    const raw = withValue(baseFor(field), field.split("."), tooMuch);
    const [path] = problemPathsOf(JSON.stringify(raw), { fileName: "vmcp.json" });

    expect(path).toBe(field.replace("[]", "[0]"));
  }
});
