import { describe, expect, test } from "vitest";
import { ANONYMOUS, type Identity } from "../domain/identity.ts";
import { parseBackendName } from "../domain/ids.ts";
import type { JsonObject } from "../domain/json.ts";
import { SILENT_LOGGER, type Logger, type LogFields } from "../domain/logger.ts";
import type { Route } from "../domain/routing-table.ts";
import { CedarPolicy } from "./cedar-policy.ts";
import type { PolicySettings } from "./policy-settings.ts";

const PERMIT_ALL = "permit(principal, action, resource);";

function policyOf(
  policies: readonly string[],
  more: Partial<PolicySettings> = {},
  logger: Logger = SILENT_LOGGER,
): CedarPolicy {
  return new CedarPolicy(
    {
      policies,
      entitiesJson: undefined,
      groupClaimName: undefined,
      roleClaimName: undefined,
      groupEntityType: "THVGroup",
      serverName: "gateway",
      ...more,
    },
    logger,
  );
}

function identity(subject: string, claims?: JsonObject): Identity {
  return { kind: "verified", issuer: "https://idp", subject, ...(claims && { claims }) };
}

const ALICE = identity("alice");
const BOB = identity("bob");

function tool(name: string, more: Partial<Route> = {}): Route {
  const backend = parseBackendName("b1");
  return { kind: "tool", backend, originalName: name, advertisedName: name, ...more };
}

function prompt(name: string): Route {
  return { ...tool(name), kind: "prompt" };
}

function resource(uri: string): Route {
  return { ...tool(uri), kind: "resource" };
}

/** Whether a use with these arguments is allowed. */
function allows(policy: CedarPolicy, who: Identity, used: Route, args?: JsonObject): boolean {
  return policy.reasonToDeny(who, used, args) === undefined;
}

/** Whether it is in lists. */
function admits(policy: CedarPolicy, who: Identity, used: Route): boolean {
  return policy.judge(who, used).kind !== "denied";
}

describe("what no policy permits", () => {
  test("is denied, and so is what a policy forbids besides", () => {
    const policy = policyOf([
      'permit(principal == Client::"alice", action, resource);',
      'forbid(principal, action, resource == Tool::"drop");',
    ]);

    expect(allows(policy, ALICE, tool("read"))).toBe(true);
    expect(policy.reasonToDeny(BOB, tool("read"), {})).toBe("no policy permits it");
    expect(policy.reasonToDeny(ALICE, tool("drop"), {})).toBe("forbidden by policies[1]");
  });

  test("is told by the kind of the capability and not by its name alone", () => {
    const policy = policyOf(['permit(principal, action == Action::"call_tool", resource);']);

    expect(allows(policy, ALICE, tool("x"))).toBe(true);
    expect(allows(policy, ALICE, prompt("x"))).toBe(false);
    expect(allows(policy, ALICE, resource("x"))).toBe(false);
  });
});

describe("who asks", () => {
  test.for<readonly [string, string, Identity, boolean]>([
    [
      "a claim of the principal",
      'principal.claim_team == "blue"',
      identity("a", { team: "blue" }),
      true,
    ],
    [
      "a claim in the context",
      'context.claim_team == "blue"',
      identity("a", { team: "blue" }),
      true,
    ],
    [
      "a claim with another value",
      'principal.claim_team == "blue"',
      identity("a", { team: "red" }),
      false,
    ],
    [
      "a list",
      'principal.claim_roles.contains("admin")',
      identity("a", { roles: ["admin"] }),
      true,
    ],
    ["a record", "principal.claim_a.b == 3", identity("a", { a: { b: 3 } }), true],
    ["the subject", 'principal.claim_sub == "alice"', ALICE, true],
    ["the issuer", 'principal.claim_iss == "https://idp"', ALICE, true],
    [
      "a subject that a claim only pretends",
      'principal.claim_sub == "root"',
      identity("a", { sub: "root", iss: "https://other" }),
      false,
    ],
    ["nobody", "principal has claim_sub", ANONYMOUS, false],
    ["nobody, by name", 'principal == Client::"anonymous"', ANONYMOUS, true],
    [
      "the scopes of a proof without claims",
      'principal.scopes.contains("write")',
      { kind: "verified", issuer: "i", subject: "s", scopes: ["write"] },
      true,
    ],
    [
      "the program that acts",
      'principal.clientId == "cli"',
      { kind: "verified", issuer: "i", subject: "s", clientId: "cli" },
      true,
    ],
  ])("can be told by %s", ([_what, condition, who, expected]) => {
    const policy = policyOf([`permit(principal, action, resource) when { ${condition} };`]);

    expect(allows(policy, who, tool("t"))).toBe(expected);
  });

  test("a claim cannot make itself an entity that somebody else is", () => {
    const policy = policyOf([
      'permit(principal, action, resource) when { principal.claim_boss == Client::"root" };',
    ]);
    const forged = identity("mallory", { boss: { __entity: { type: "Client", id: "root" } } });

    expect(allows(policy, forged, tool("t"))).toBe(false);
  });

  test("two identities that differ only in what no policy asks for are decided once, others each", () => {
    const policy = policyOf([
      'permit(principal, action, resource) when { principal.claim_team == "blue" };',
    ]);

    expect(allows(policy, identity("a", { team: "blue", exp: 1 }), tool("t"))).toBe(true);
    expect(allows(policy, identity("a", { team: "red", exp: 1 }), tool("t"))).toBe(false);
    expect(allows(policy, identity("a", { team: "blue", exp: 2 }), tool("t"))).toBe(true);
  });
});

describe("groups", () => {
  const IN_ENG = ['permit(principal in THVGroup::"eng", action, resource);'];

  test.for<readonly [JsonObject, boolean]>([
    [{ groups: ["eng", "ops"] }, true],
    [{ roles: ["eng"] }, true],
    [{ "cognito:groups": ["eng"] }, true],
    [{ groups: ["ops"], roles: ["eng"] }, false],
    [{ groups: [], roles: ["eng"] }, false],
    [{ groups: "eng" }, false],
    [{ groups: [{ name: "eng" }] }, false],
    [{}, false],
  ])("of %j are found where providers put them", ([claims, expected]) => {
    expect(allows(policyOf(IN_ENG), identity("a", claims), tool("t"))).toBe(expected);
  });

  test.for<readonly [string, JsonObject]>([
    ["https://example.com/groups", { "https://example.com/groups": ["eng"] }],
    ["realm.teams", { realm: { teams: ["eng"] } }],
    ["absent", { groups: ["eng"] }],
  ])("can be told to be in the claim %s", ([groupClaimName, claims]) => {
    const policy = policyOf(IN_ENG, { groupClaimName });

    expect(allows(policy, identity("a", claims), tool("t"))).toBe(true);
  });

  test("roles count besides where the claim of them is named", () => {
    const who = identity("a", { groups: ["ops"], realm: { roles: ["eng"] } });

    expect(allows(policyOf(IN_ENG), who, tool("t"))).toBe(false);
    expect(allows(policyOf(IN_ENG, { roleClaimName: "realm.roles" }), who, tool("t"))).toBe(true);
  });

  test("have the type that the operator gives them", () => {
    const policy = policyOf(['permit(principal in Team::"eng", action, resource);'], {
      groupEntityType: "Team",
    });

    expect(allows(policy, identity("a", { groups: ["eng"] }), tool("t"))).toBe(true);
  });

  test("can be members of what the operator describes", () => {
    const policy = policyOf(['permit(principal in Role::"staff", action, resource);'], {
      entitiesJson: JSON.stringify([
        { uid: { type: "THVGroup", id: "eng" }, attrs: {}, parents: [{ type: "Role", id: "dev" }] },
        { uid: { type: "Role", id: "dev" }, attrs: {}, parents: [{ type: "Role", id: "staff" }] },
      ]),
    });

    expect(allows(policy, identity("a", { groups: ["eng"] }), tool("t"))).toBe(true);
    expect(allows(policy, identity("a", { groups: ["ops"] }), tool("t"))).toBe(false);
  });
});

describe("what is used", () => {
  test.for<readonly [string, string, Route, boolean]>([
    ["its backend", 'resource in Backend::"b1"', tool("t"), true],
    ["its backend", 'resource in Backend::"b2"', tool("t"), false],
    ["its backend's name", 'resource.backend == "b1"', tool("t"), true],
    ["the gateway", 'resource in MCP::"gateway"', tool("t"), true],
    ["its name", 'resource.name like "b1_*"', tool("b1_x"), true],
    ["its name", 'resource.name like "b1_*"', tool("b2_x"), false],
    [
      "its backend's own name",
      'resource.originalName == "x"',
      tool("b1_x", { originalName: "x" }),
      true,
    ],
    ["its hint", "resource.readOnlyHint", tool("t", { hints: { readOnlyHint: true } }), true],
    ["its hint", "resource.readOnlyHint", tool("t", { hints: { readOnlyHint: false } }), false],
    ["a hint that it does not give", "resource.readOnlyHint", tool("t"), false],
    ["its type", "resource is Tool", tool("t"), true],
    ["its type", "resource is Tool", prompt("t"), false],
    ["its URI", 'resource.uri == "file:///a b?c#d"', resource("file:///a b?c#d"), true],
    ["its URI", 'resource == Resource::"file____a_b_c_d"', resource("file:///a b?c#d"), true],
    ["the action", 'action.operation == "call_tool"', tool("t"), true],
  ])("can be told by %s: %s", ([_what, condition, used, expected]) => {
    const policy = policyOf([`permit(principal, action, resource) when { ${condition} };`]);

    expect(allows(policy, ALICE, used)).toBe(expected);
  });

  test("a template is used as the resource that its text names", () => {
    const policy = policyOf([
      'permit(principal, action == Action::"read_resource", resource) when { resource.uri like "docs://*" };',
    ]);
    const template: Route = { ...resource("docs://{id}"), kind: "resourceTemplate" };

    expect(admits(policy, ALICE, template)).toBe(true);
    expect(admits(policy, ALICE, { ...template, advertisedName: "file:///{path}" })).toBe(false);
  });

  test("what an operator says of a tool counts for it, and more than what the tool says of itself", () => {
    const policy = policyOf(
      [
        "permit(principal, action, resource) when { resource.owner == principal && resource.readOnlyHint };",
      ],
      {
        entitiesJson: JSON.stringify([
          {
            uid: { type: "Tool", id: "mine" },
            attrs: { owner: { __entity: { type: "Client", id: "alice" } }, readOnlyHint: true },
            parents: [],
          },
        ]),
      },
    );
    const mine = tool("mine", { hints: { readOnlyHint: false } });

    expect(allows(policy, ALICE, mine)).toBe(true);
    expect(allows(policy, BOB, mine)).toBe(false);
    expect(allows(policy, ALICE, tool("other", { hints: { readOnlyHint: true } }))).toBe(false);
  });

  test("capabilities that look alike to some policies are not decided alike where one can tell them apart", () => {
    const policy = policyOf([
      'permit(principal, action, resource in Backend::"b1");',
      'forbid(principal, action, resource == Tool::"drop");',
      'permit(principal, action, resource == Tool::"other");',
    ]);
    const elsewhere = { backend: parseBackendName("b2") };

    expect(["read", "drop", "write"].map((name) => allows(policy, ALICE, tool(name)))).toEqual([
      true,
      false,
      true,
    ]);
    expect(allows(policy, ALICE, tool("read", elsewhere))).toBe(false);
    expect(allows(policy, ALICE, tool("other", elsewhere))).toBe(true);
  });
});

describe("arguments", () => {
  const NOT_SHADOW = [
    PERMIT_ALL,
    'forbid(principal, action, resource == Tool::"cat") when { context has arg_path && context.arg_path like "/etc/*" };',
  ];

  test("decide a call where a policy asks for them, each call anew", () => {
    const policy = policyOf(NOT_SHADOW);

    expect(allows(policy, ALICE, tool("cat"), { path: "/tmp/x" })).toBe(true);
    expect(policy.reasonToDeny(ALICE, tool("cat"), { path: "/etc/x" })).toBe(
      "forbidden by policies[1]",
    );
    expect(allows(policy, ALICE, tool("cat"), { path: "/tmp/x" })).toBe(true);
    expect(allows(policy, ALICE, tool("cat"), {})).toBe(true);
  });

  test("do not matter to tools that no such policy is about", () => {
    const policy = policyOf(NOT_SHADOW);

    expect(policy.judge(ALICE, tool("cat")).kind === "depends").toBe(true);
    expect(policy.judge(ALICE, tool("ls")).kind === "depends").toBe(false);
    expect(allows(policy, ALICE, tool("ls"), { path: "/etc/x" })).toBe(true);
  });

  test("a tool that may be used with some of them is admitted, and one that may with none is not", () => {
    const policy = policyOf([
      'permit(principal == Client::"alice", action, resource) when { resource.arg_mode == "r" };',
      'forbid(principal, action, resource == Tool::"drop") unless { principal has claim_admin };',
    ]);

    expect(admits(policy, ALICE, tool("cat"))).toBe(true);
    expect(admits(policy, ALICE, tool("drop"))).toBe(false);
    expect(admits(policy, BOB, tool("cat"))).toBe(false);
    expect(allows(policy, ALICE, tool("cat"), { mode: "w" })).toBe(false);
  });

  test.for<readonly [string, JsonObject, boolean]>([
    ["context.arg_n == 3", { n: 3 }, true],
    ["resource.arg_n == 3", { n: 3 }, true],
    ["context.arg_n < 0", { n: -1 }, true],
    ["context.arg_on", { on: true }, true],
    ['context.arg_f == decimal("1.5")', { f: 1.5 }, true],
    ["context.arg_list_present", { list: [1] }, true],
    ["context.arg_map_present", { map: {} }, true],
    ["context.arg_nothing_present", { nothing: null }, true],
    ["context has arg_list", { list: [1] }, false],
    ["context.arg_list_present", { list: [1], list_present: false }, true],
    ["context has arg_n", { n: 2 ** 53 }, true],
    ["context has arg_n", { n: 1e300 }, true],
    ["context.arg_n > 0", { n: 2 ** 53 }, false],
    ["context.arg_n == 1", { n: 1.00001 }, false],
  ])("are seen as %s for %j", ([condition, args, expected]) => {
    const policy = policyOf([`permit(principal, action, resource) when { ${condition} };`]);

    expect(allows(policy, ALICE, tool("t"), args)).toBe(expected);
  });

  test.for([101, 2 ** 53, 1e300, 100.00001, 1_000_000.5])(
    "do not escape a limit by being as large or as fine as %d",
    (n) => {
      const policy = policyOf([
        "permit(principal, action, resource);",
        "forbid(principal, action, resource) when { context has arg_n && context.arg_n > 100 };",
      ]);

      expect(allows(policy, ALICE, tool("t"), { n })).toBe(false);
      expect(allows(policy, ALICE, tool("t"), { n: 100 })).toBe(true);
    },
  );

  test("are not what a resource is read with", () => {
    const policy = policyOf(["permit(principal, action, resource) when { context has arg_x };"]);

    expect(admits(policy, ALICE, resource("file:///x"))).toBe(false);
  });

  test("all count where a policy looks at the context as a whole", () => {
    const policy = policyOf([
      'permit(principal, action, resource) when { context == {"arg_a": 1, "claim_sub": "alice", "claim_iss": "https://idp"} };',
    ]);

    expect(allows(policy, ALICE, tool("t"), { a: 1 })).toBe(true);
    expect(allows(policy, ALICE, tool("t"), { a: 1, b: 2 })).toBe(false);
  });
});

describe("a policy that cannot be evaluated", () => {
  test("denies, whatever the others permit, and the log says so once without what the client sent", () => {
    const lines: (readonly [string, LogFields | undefined])[] = [];
    const logger = {
      ...SILENT_LOGGER,
      warn: (text: string, fields?: LogFields) => void lines.push([text, fields]),
    };
    const policy = policyOf(
      [PERMIT_ALL, "forbid(principal, action, resource) when { principal.claim_level > 3 };"],
      {},
      logger,
    );

    expect(policy.reasonToDeny(ALICE, tool("a"), {})).toBe("policies[1] cannot be evaluated");
    expect(allows(policy, identity("c", { level: "SECRET" }), tool("b"))).toBe(false);
    expect(allows(policy, identity("d", { level: 2 }), tool("b"))).toBe(true);

    expect(lines.map(([, fields]) => fields)).toEqual([
      { policy: "policies[1]", missing: "claim_level" },
      { policy: "policies[1]", missing: undefined },
    ]);
    expect(JSON.stringify(lines)).not.toContain("SECRET");
  });

  test("a text that is not Unicode denies and does not throw", () => {
    const policy = policyOf([
      PERMIT_ALL,
      'forbid(principal, action, resource) when { context.arg_x == "y" };',
    ]);

    expect(allows(policy, ALICE, tool("t"), { x: "\ud800" })).toBe(false);
  });
});

describe("policies that cannot be read", () => {
  test.for(["permit(principal", "permit(principal == ?principal, action, resource);", "", "true"])(
    "%j is refused by its place",
    (text) => {
      expect(() => policyOf([PERMIT_ALL, text])).toThrow(
        expect.objectContaining({
          code: "invalid_config",
          message: expect.stringContaining("policies[1]"),
        }),
      );
    },
  );
});
