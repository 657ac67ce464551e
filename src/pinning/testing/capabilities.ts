import { createHash } from "node:crypto";
import type { Capability, CapabilityKind, CapabilitySet } from "../../domain/capabilities.ts";
import type { JsonObject } from "../../domain/json.ts";

const KEYS = {
  tool: "name",
  prompt: "name",
  resource: "uri",
  resourceTemplate: "uriTemplate",
} as const satisfies Record<CapabilityKind, string>;

/** As a backend would have listed this text. */
export function capability(kind: CapabilityKind, json: string): Capability {
  // Whoever calls this writes an object.
  const value = JSON.parse(json) as JsonObject;
  const key = value[KEYS[kind]];
  return { kind, key: typeof key === "string" ? key : "", json, value };
}

/** A tool of that name with an empty schema, and what else is said of it. */
export function tool(name: string, more: JsonObject = {}): Capability {
  return capability("tool", JSON.stringify({ name, inputSchema: { type: "object" }, ...more }));
}

export function prompt(name: string, more: JsonObject = {}): Capability {
  return capability("prompt", JSON.stringify({ name, ...more }));
}

export function template(uriTemplate: string, more: JsonObject = {}): Capability {
  return capability("resourceTemplate", JSON.stringify({ uriTemplate, name: "t", ...more }));
}

/** Sorts them into the lists of one backend. */
export function capabilitySet(...capabilities: readonly Capability[]): CapabilitySet {
  const of = (kind: CapabilityKind): readonly Capability[] =>
    capabilities.filter((entry) => entry.kind === kind);
  const hash = createHash("sha256");
  for (const { json } of capabilities) hash.update(json);
  return {
    hash: hash.digest("hex"),
    tools: of("tool"),
    prompts: of("prompt"),
    resources: of("resource"),
    resourceTemplates: of("resourceTemplate"),
  };
}
