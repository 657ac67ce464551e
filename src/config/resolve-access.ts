import type { AuthzInput } from "./schema/authz.ts";
import type { RateLimitingInput } from "./schema/rate-limiting.ts";
import type { AuthzConfig, RateLimitingConfig, TokenBucketConfig } from "./vmcp-config.ts";

/** Expects input in which no check found a problem. Undefined: everyone may do everything. */
export function resolveAuthz(input: AuthzInput): AuthzConfig | undefined {
  if (input?.type !== "cedar") return undefined;
  return {
    policies: input.policies ?? [],
    entitiesJson: input.entitiesJson,
    groupClaimName: input.groupClaimName,
    roleClaimName: input.roleClaimName,
    groupEntityType: input.groupEntityType,
  };
}

export function resolveRateLimiting(input: RateLimitingInput): RateLimitingConfig {
  return {
    shared: toBucket(input?.shared),
    perUser: toBucket(input?.perUser),
    tools: (input?.tools ?? []).map(({ name, shared, perUser }) => ({
      name,
      shared: toBucket(shared),
      perUser: toBucket(perUser),
    })),
  };
}

function toBucket(
  input: { readonly maxTokens: number; readonly refillPeriod: number } | undefined,
): TokenBucketConfig | undefined {
  return input && { maxTokens: input.maxTokens, refillPeriodMs: input.refillPeriod };
}
