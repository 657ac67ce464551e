import { describe, expect, test } from "vitest";
import { resolveConfig, type VmcpConfigInput } from "../config/load-config.ts";
import type { VmcpConfig } from "../config/vmcp-config.ts";
import { SILENT_LOGGER } from "../domain/logger.ts";
import { NO_POLICY } from "../session/policy.ts";
import { NO_RATE_LIMITS } from "../session/rate-limits.ts";
import { AccessRules } from "./access-rules.ts";

const PERMIT_ALL = "permit(principal, action, resource);";

function configWith(more: VmcpConfigInput): VmcpConfig {
  return resolveConfig({ backends: [{ name: "b1", url: "http://127.0.0.1:1/mcp" }], ...more });
}

function withPolicy(text: string): VmcpConfigInput {
  return { incomingAuth: { type: "anonymous", authz: { type: "cedar", policies: [text] } } };
}

const LIMITED: VmcpConfigInput = {
  rateLimiting: { shared: { maxTokens: 1, refillPeriod: "1h" } },
};

const NOTHING_RULED = { policy: NO_POLICY, rateLimits: NO_RATE_LIMITS };

const SCOPES = { require() {} };

function rules(hasForeignSessions = false): AccessRules {
  return new AccessRules({
    logger: SILENT_LOGGER,
    now: () => 0,
    hasForeignSessions,
    scopes: SCOPES,
  });
}

test("where nothing is ruled, nothing is asked", () => {
  expect(rules().of(configWith({}))).toMatchObject(NOTHING_RULED);
});

describe("the next configuration", () => {
  test("has the same objects, with what they remember, where it says the same", () => {
    const all = rules();
    const config = { ...withPolicy(PERMIT_ALL), ...LIMITED };
    const before = all.of(configWith(config));

    const after = all.of(configWith({ ...config, name: "other" }));

    expect(after.policy).toBe(before.policy);
    expect(after.rateLimits).toBe(before.rateLimits);
  });

  test("has another policy where it says another, and none where it says none", () => {
    const all = rules();
    const { policy } = all.of(configWith(withPolicy(PERMIT_ALL)));

    const other = all.of(configWith(withPolicy("forbid(principal, action, resource);")));
    const none = all.of(configWith({}));

    expect(other.policy).not.toBe(policy);
    expect(none).toMatchObject(NOTHING_RULED);
  });

  test("that cannot be read leaves the one before in place", () => {
    const all = rules();
    const config = configWith(withPolicy(PERMIT_ALL));
    const { policy } = all.of(config);
    const broken = { ...config, authz: config.authz && { ...config.authz, policies: ["permit("] } };

    expect(() => all.of(broken)).toThrow(expect.objectContaining({ code: "invalid_config" }));
    expect(all.of(config).policy).toBe(policy);
  });
});

test.for([
  ["policies", withPolicy(PERMIT_ALL)],
  ["limits", LIMITED],
] as const)(
  "%s are refused where sessions are made by somebody who would not keep them",
  ([, config]) => {
    expect(() => rules(true).of(configWith(config))).toThrow(
      expect.objectContaining({
        code: "invalid_config",
        message: expect.stringContaining("sessionFactory"),
      }),
    );
  },
);
