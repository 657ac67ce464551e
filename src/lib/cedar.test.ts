import { describe, expect, test } from "vitest";
import {
  entitiesFault,
  isEntityType,
  PolicySet,
  readPolicy,
  type PolicyQuestion,
} from "./cedar.ts";

const PERMIT_ALL = "permit(principal, action, resource);";

const QUESTION: PolicyQuestion = {
  principal: { type: "Client", id: "alice" },
  action: { type: "Action", id: "call_tool" },
  resource: { type: "Tool", id: "t" },
  context: {},
  entities: [],
};

function setOf(policies: Readonly<Record<string, string>>): PolicySet {
  const made = PolicySet.of(new Map(Object.entries(policies)));
  if ("fault" in made) throw new Error(made.fault);
  return made.set;
}

describe("a text that is no policy", () => {
  test.for([
    ["permit(principal", "line 1, column 17"],
    [`${PERMIT_ALL}\n  nonsense`, "line 2, column 3"],
    ['permit(principal, action, resource) when { "ü" == x };', "column 51"],
  ] as const)("%j is told with its place: %s", ([text, place]) => {
    const read = readPolicy(text);

    expect(read).toMatchObject({ fault: expect.stringContaining(place) });
  });

  test("makes no set, and the others are not harmed", () => {
    const before = setOf({ a: PERMIT_ALL });

    const made = PolicySet.of(new Map([["a", "forbid("]]));

    expect(made).toHaveProperty("fault");
    expect(before.ask(QUESTION).isAllowed).toBe(true);
  });
});

describe("a set of policies", () => {
  test("says who decided", () => {
    const set = setOf({ all: PERMIT_ALL, not: "forbid(principal, action, resource);" });

    expect(set.ask(QUESTION)).toEqual({ isAllowed: false, deciding: ["not"], failed: [] });
  });

  test("is asked apart from all others", () => {
    const [permits, forbids] = [setOf({ a: PERMIT_ALL }), setOf({})];

    expect([permits, forbids, permits].map((set) => set.ask(QUESTION).isAllowed)).toEqual([
      true,
      false,
      true,
    ]);
  });

  test.for<readonly [string, Partial<PolicyQuestion>]>([
    [
      "entities that are none",
      { entities: [{ uid: { type: "no type", id: "" }, attrs: {}, parents: [] }] },
    ],
    ["a number that Cedar does not have", { context: { a: 1.5 } }],
    ["a text that is not Unicode", { context: { a: "\ud800" } }],
  ])("denies where it cannot be asked: %s", ([, more]) => {
    const answer = setOf({ a: PERMIT_ALL }).ask({ ...QUESTION, ...more });

    expect(answer).toMatchObject({ isAllowed: false, failed: [{ policy: "" }] });
  });
});

test.for([
  [[], undefined],
  [[{ uid: { type: "A", id: "b" }, attrs: {}, parents: [] }], undefined],
  [[{ uid: "A::b" }], expect.stringContaining("entity")],
  [{}, "must be a list of entities"],
] as const)("%j as entities has the fault %s", ([entities, fault]) => {
  expect(entitiesFault(entities)).toEqual(fault);
});

test.for([
  ["Team", true],
  ["_x1", true],
  ["if", false],
  ["A B", false],
  ["", false],
] as const)("%j is a type of entities: %s", ([name, expected]) => {
  expect(isEntityType(name)).toBe(expected);
});
