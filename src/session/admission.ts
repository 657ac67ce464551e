import { VmcpError } from "../domain/errors.ts";
import type { Identity } from "../domain/identity.ts";
import { isJsonObject } from "../domain/json.ts";
import type { Route } from "../domain/routing-table.ts";
import { clip, findAmbiguousKey, type InboundRequest } from "../mcp/inbound-message.ts";
import { scanMembers } from "../mcp/json-spans.ts";
import { NO_POLICY, type AccessPolicy } from "./policy.ts";
import { NO_RATE_LIMITS, type RateLimits } from "./rate-limits.ts";
import { unknownName } from "./unknown-name.ts";
import type { ScopeRules } from "./scope-rules.ts";

/** What the admission of requests depends on. */
export interface AdmissionRules {
  readonly policy: AccessPolicy;
  readonly rateLimits: RateLimits;
  readonly scopes?: ScopeRules;
}

export const ADMIT_ALL: AdmissionRules = { policy: NO_POLICY, rateLimits: NO_RATE_LIMITS };

/** Methods that name nothing of a backend's and yet go to one. */
const UNNAMED_METHODS: ReadonlySet<string> = new Set(["tasks/list"]);

/**
 * Refuses a request that the policy does not let this identity make, or that is one too many. `used` is what the request
 * uses; undefined where that is no capability at all.
 *
 * What the identity may never use, and so does not find in its lists, is as unknown to it as any other name:
 * `capability_not_found`. Throws otherwise `policy_denied`, `insufficient_scope`, `rate_limited`, or `invalid_params` where a key of the arguments that decide stands twice.
 */
export function admit(
  { policy, rateLimits, scopes }: AdmissionRules,
  identity: Identity,
  request: InboundRequest,
  used: Route | undefined,
): void {
  if (!policy.admitsAll) checkPolicy(policy, identity, request, used);
  if (request.method !== "tools/call" || used === undefined) return;
  scopes?.require(identity, used.advertisedName);
  const waitMs = rateLimits.take(identity, used.advertisedName);
  if (waitMs === undefined) return;
  throw new VmcpError(
    "rate_limited",
    `The tool "${clip(used.advertisedName)}" is called too often; call it again later`,
    { executionState: "not_executed", retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1_000)) },
  );
}

function checkPolicy(
  policy: AccessPolicy,
  identity: Identity,
  request: InboundRequest,
  used: Route | undefined,
): void {
  if (used === undefined) {
    if (UNNAMED_METHODS.has(request.method)) return;
    throw denied(`use the method "${clip(request.method)}"`, "no policy can speak of this method");
  }
  const judgement = policy.judge(identity, used);
  if (judgement.kind === "denied") throw asUnknown(request, judgement.reason);
  if (judgement.kind === "allowed" || PARTIAL_METHODS.test(request.method)) return;
  const given = request.params?.["arguments"];
  const args = isJsonObject(given) ? given : undefined;
  if (args !== undefined) checkKeys(request.bytes);
  const reason = policy.reasonToDeny(identity, used, args);
  if (reason === undefined) return;
  throw denied(`use the ${WORDS[used.kind]} "${clip(used.advertisedName)}" in this way`, reason);
}

const WORDS = {
  tool: "tool",
  prompt: "prompt",
  resource: "resource",
  resourceTemplate: "resource template",
} as const satisfies Record<Route["kind"], string>;

/** Requests about a use that are not the use itself: what they carry are not its arguments. */
const PARTIAL_METHODS = /^(?:completion|tasks)\//;

/** The name as the client wrote it, as if nobody offered it. */
function asUnknown({ method, params }: InboundRequest, reason: string): VmcpError {
  const ref = params?.["ref"];
  if (method.startsWith("tasks/")) return unknownName("task", textOf(params?.["taskId"]), reason);
  if (method.startsWith("resources/")) {
    return unknownName("resource", textOf(params?.["uri"]), reason);
  }
  if (method === "completion/complete" && isJsonObject(ref)) {
    return unknownName("reference", textOf(ref["name"] ?? ref["uri"]), reason);
  }
  const kind = method === "prompts/get" ? "prompt" : "tool";
  return unknownName(kind, textOf(params?.["name"]), reason);
}

/** What named something was a text; anything else was refused before. */
function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function denied(what: string, reason: string): VmcpError {
  return new VmcpError("policy_denied", `The policy does not let you ${what}`, {
    executionState: "not_executed",
    reason,
  });
}

/**
 * The backend gets the bytes: where a key of the arguments stands twice, or in two cases, it may read another value
 * than the one that was judged.
 */
function checkKeys(bytes: Buffer): void {
  let at = bytes.indexOf(OPENING_BRACE);
  for (const key of ["params", "arguments"]) {
    const member = scanMembers(bytes, at).find((candidate) => candidate.key === key);
    if (member === undefined) return;
    at = member.valueStart;
  }
  const ambiguous = findAmbiguousKey(scanMembers(bytes, at));
  if (ambiguous === undefined) return;
  throw new VmcpError("invalid_params", `The argument "${clip(ambiguous)}" stands twice`);
}

const OPENING_BRACE = 0x7b;
