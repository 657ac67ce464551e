import type { JsonObject } from "./json.ts";

export type CapabilityKind = "tool" | "prompt" | "resource" | "resourceTemplate";

/**
 * One thing that a backend offers, exactly as it said it.
 *
 * `json` is the text as received, so that vendor fields, key order and big numbers survive; `value` is the
 * same text parsed, for reading only.
 */
export interface Capability {
  readonly kind: CapabilityKind;
  /** The original name: `name` of a tool or prompt, `uri` of a resource, `uriTemplate` of a template. */
  readonly key: string;
  readonly json: string;
  readonly value: JsonObject;
}

/** Everything that one backend lists, complete over all pages, in the backend's own order. */
export interface CapabilitySet {
  /** Hash of the content: equal sets have equal hashes, whichever session fetched them. */
  readonly hash: string;
  readonly tools: readonly Capability[];
  readonly prompts: readonly Capability[];
  readonly resources: readonly Capability[];
  readonly resourceTemplates: readonly Capability[];
  /** How long the backend says its lists may be taken for current, after they were fetched; absent where it says nothing. */
  readonly ttlMs?: number;
  /** Whether they are the same for everybody, where the backend says so. */
  readonly cacheScope?: "public" | "private";
}

/** What a backend said of itself in its answer to `initialize`. */
export interface BackendGreeting {
  readonly revision: string;
  readonly capabilities: JsonObject;
  readonly serverInfo: JsonObject;
  readonly instructions: string | undefined;
}
