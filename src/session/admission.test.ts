import type { JsonObject } from "../domain/json.ts";
import { describe, expect, test } from "vitest";
import { ANONYMOUS, type Identity } from "../domain/identity.ts";
import { parseBackendName } from "../domain/ids.ts";
import type { Route } from "../domain/routing-table.ts";
import { inboundRequest } from "../../test/support/sessions.ts";
import { admit, ADMIT_ALL } from "./admission.ts";
import { NO_POLICY, type AccessPolicy } from "./policy.ts";
import { NO_RATE_LIMITS, type RateLimits } from "./rate-limits.ts";

const TOOL: Route = {
  kind: "tool",
  backend: parseBackendName("b"),
  originalName: "run",
  advertisedName: "b_run",
};

const CALL = inboundRequest(1, "tools/call", { name: "b_run", arguments: { a: 1 } });

function deniedFor(reason: string, more: Partial<AccessPolicy> = {}): AccessPolicy {
  return {
    admitsAll: false,
    judge: () => ({ kind: "denied", reason }),
    reasonToDeny: () => reason,
    ...more,
  };
}

/** Says of every call that it may come in so many milliseconds, and notes who was counted. */
function limitedFor(waitMs: number | undefined, counted: string[] = []): RateLimits {
  return {
    take: (_identity: Identity, toolName: string) => {
      counted.push(toolName);
      return waitMs;
    },
  };
}

test("without rules everything is admitted", () => {
  expect(() => admit(ADMIT_ALL, ANONYMOUS, CALL, TOOL)).not.toThrow();
  expect(() => admit(ADMIT_ALL, ANONYMOUS, inboundRequest(1, "vendor/x"), undefined)).not.toThrow();
});

describe("a policy", () => {
  test.for<readonly [string, JsonObject, string]>([
    ["tools/call", { name: "b_run" }, "Unknown tool: b_run"],
    ["prompts/get", { name: "ask" }, "Unknown prompt: ask"],
    ["resources/read", { uri: "docs://1" }, "Unknown resource: docs://1"],
    ["resources/subscribe", { uri: "docs://1" }, "Unknown resource: docs://1"],
    ["tasks/get", { taskId: "7" }, "Unknown task: 7"],
    ["completion/complete", { ref: { name: "ask" } }, "Unknown reference: ask"],
    ["completion/complete", { ref: { uri: "docs://1" } }, "Unknown reference: docs://1"],
  ])("that denies %s of %j for good makes the name an unknown one", ([method, params, message]) => {
    const rules = { policy: deniedFor("forbidden by policies[0]"), rateLimits: NO_RATE_LIMITS };

    expect(() => admit(rules, ANONYMOUS, inboundRequest(1, method, params), TOOL)).toThrow(
      expect.objectContaining({
        code: "capability_not_found",
        message,
        reason: "forbidden by policies[0]",
      }),
    );
  });

  test("that denies these arguments is told to the client without its reason, which goes on record", () => {
    const policy = deniedFor("forbidden by policies[0]", { judge: () => ({ kind: "depends" }) });
    const rules = { policy, rateLimits: NO_RATE_LIMITS };

    expect(() => admit(rules, ANONYMOUS, CALL, TOOL)).toThrow(
      expect.objectContaining({
        code: "policy_denied",
        message: 'The policy does not let you use the tool "b_run" in this way',
        executionState: "not_executed",
        reason: "forbidden by policies[0]",
      }),
    );
  });

  test.for(["vendor/x", "tasks/get"])(
    "lets nothing through that it cannot speak of: %s",
    (method) => {
      const policy = deniedFor("", { judge: () => ({ kind: "allowed" }) });
      const rules = { policy, rateLimits: NO_RATE_LIMITS };

      expect(() => admit(rules, ANONYMOUS, inboundRequest(1, method), undefined)).toThrow(
        expect.objectContaining({ code: "policy_denied" }),
      );
      expect(() =>
        admit(rules, ANONYMOUS, inboundRequest(1, "tasks/list"), undefined),
      ).not.toThrow();
    },
  );

  test.for(["tasks/result", "completion/complete"])(
    "judges %s by whether the use may be made at all, for its arguments are not there",
    (method) => {
      const policy = deniedFor("the argument is missing", { judge: () => ({ kind: "depends" }) });
      const rules = { policy, rateLimits: NO_RATE_LIMITS };

      expect(() => admit(rules, ANONYMOUS, inboundRequest(1, method, {}), TOOL)).not.toThrow();
      expect(() => admit(rules, ANONYMOUS, CALL, TOOL)).toThrow(
        expect.objectContaining({ reason: "the argument is missing" }),
      );
    },
  );

  test("that looks at arguments gets those of the bytes that leave, or none at all", () => {
    const policy = deniedFor("", {
      judge: () => ({ kind: "depends" }),
      reasonToDeny: () => undefined,
    });
    const rules = { policy, rateLimits: NO_RATE_LIMITS };
    const twice = { ...CALL, bytes: Buffer.from('{"params":{"arguments":{"a":2,"A":1}}}') };

    expect(() => admit(rules, ANONYMOUS, twice, TOOL)).toThrow(
      expect.objectContaining({ code: "invalid_params", message: 'The argument "A" stands twice' }),
    );
    expect(() => admit(rules, ANONYMOUS, CALL, TOOL)).not.toThrow();
    const indifferent = {
      ...rules,
      policy: { ...policy, judge: () => ({ kind: "allowed" }) as const },
    };
    expect(() => admit(indifferent, ANONYMOUS, twice, TOOL)).not.toThrow();
  });
});

describe("a rate limit", () => {
  test.for([
    [1, 1],
    [1_000, 1],
    [1_001, 2],
    [90_000, 90],
  ] as const)("that lets the next call come in %i ms says %i s", ([waitMs, seconds]) => {
    const rules = { policy: NO_POLICY, rateLimits: limitedFor(waitMs) };

    expect(() => admit(rules, ANONYMOUS, CALL, TOOL)).toThrow(
      expect.objectContaining({
        code: "rate_limited",
        retryAfterSeconds: seconds,
        executionState: "not_executed",
      }),
    );
  });

  test("counts calls of tools, by the name that clients know now, and nothing else", () => {
    const counted: string[] = [];
    const rules = { policy: NO_POLICY, rateLimits: limitedFor(undefined, counted) };

    admit(rules, ANONYMOUS, CALL, TOOL);
    admit(rules, ANONYMOUS, inboundRequest(1, "tasks/get", { taskId: "1" }), TOOL);
    admit(rules, ANONYMOUS, inboundRequest(1, "prompts/get"), { ...TOOL, kind: "prompt" });

    expect(counted).toEqual(["b_run"]);
  });

  test("does not count what the policy denies", () => {
    const counted: string[] = [];
    const rules = { policy: deniedFor("no"), rateLimits: limitedFor(undefined, counted) };

    expect(() => admit(rules, ANONYMOUS, CALL, TOOL)).toThrow("Unknown tool");
    expect(counted).toEqual([]);
  });
});
