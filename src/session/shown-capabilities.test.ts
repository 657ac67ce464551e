import { expect, test } from "vitest";
import { DEFAULT_SETTINGS } from "../aggregation/settings.ts";
import { ANONYMOUS, type Identity } from "../domain/identity.ts";
import { parseBackendName } from "../domain/ids.ts";
import type { Route } from "../domain/routing-table.ts";
import { capabilitySet } from "../../test/support/fake-backends.ts";
import { NO_POLICY, type AccessPolicy, type Judgement } from "./policy.ts";
import { ShownCapabilities } from "./shown-capabilities.ts";
import { Views, type View } from "./view.ts";

function user(subject: string): Identity {
  return { kind: "verified", issuer: "i", subject };
}

const ALICE = user("alice");
const BOB = user("bob");

function viewOf(tools: readonly string[] = ["a", "b"]): View {
  const capabilities = capabilitySet({ tools, prompts: ["p"], resources: ["docs://1"] });
  return new Views({ ...DEFAULT_SETTINGS, strategy: "prefixOnConflict" }).of([
    { backend: parseBackendName("b1"), capabilities },
  ]);
}

/** Everyone may use what is not listed here; counts how often it is asked. */
class Hiding implements AccessPolicy {
  readonly admitsAll = false;
  readonly #hidden: ReadonlyMap<string, readonly string[]>;
  asked = 0;

  constructor(hidden: Readonly<Record<string, readonly string[]>>) {
    this.#hidden = new Map(Object.entries(hidden));
  }

  judge(identity: Identity, { advertisedName }: Route): Judgement {
    this.asked += 1;
    const who = identity.kind === "verified" ? identity.subject : "";
    const isHidden = this.#hidden.get(who)?.includes(advertisedName) === true;
    return isHidden ? { kind: "denied", reason: "" } : { kind: "depends" };
  }

  reasonToDeny(): string | undefined {
    return undefined;
  }
}

test("without a policy the view is what is shown", () => {
  const view = viewOf();

  expect(new ShownCapabilities(NO_POLICY).of(view, ALICE)).toBe(view);
});

test("who may use all of it sees the view itself", () => {
  const view = viewOf();

  expect(new ShownCapabilities(new Hiding({ bob: ["a"] })).of(view, ALICE)).toBe(view);
});

test("what may not be used is in no list, and the others stay as they are", () => {
  const view = viewOf();

  const shown = new ShownCapabilities(new Hiding({ bob: ["a", "p"] })).of(view, BOB);

  expect(shown.aggregate.tools.map(({ route }) => route.advertisedName)).toEqual(["b"]);
  expect(shown.aggregate.prompts).toEqual([]);
  expect(JSON.parse(shown.lists.tools.first.toString())).toMatchObject({ tools: [{ name: "b" }] });
  expect(JSON.parse(shown.lists.prompts.first.toString())).toEqual({ prompts: [] });
  expect(shown.lists.resources).toBe(view.lists.resources);
});

test("who may use the same is shown the same object, and a list is asked for once for each identity", () => {
  const view = viewOf();
  const policy = new Hiding({ bob: ["a"], carol: ["a"], dave: ["b"] });
  const shown = new ShownCapabilities(policy);

  const [bob, again] = [shown.of(view, BOB), shown.of(view, BOB)];
  const askedForOne = policy.asked;
  const [carol, dave] = [shown.of(view, user("carol")), shown.of(view, user("dave"))];

  expect(askedForOne).toBe(4);
  expect(again).toBe(bob);
  expect(carol).toBe(bob);
  expect(dave).not.toBe(bob);
});

test("another view of the same identity is looked at anew", () => {
  const shown = new ShownCapabilities(new Hiding({ "": ["b"] }));

  const names = [viewOf(["a", "b"]), viewOf(["b", "c"])].map((view) =>
    shown.of(view, ANONYMOUS).aggregate.tools.map(({ route }) => route.advertisedName),
  );

  expect(names).toEqual([["a"], ["c"]]);
});
