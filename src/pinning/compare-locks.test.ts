import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Capability } from "../domain/capabilities.ts";
import { compareLocks, type Difference } from "./compare-locks.ts";
import { lockBackend, type Lock } from "./lock.ts";
import { capabilitySet, prompt, template, tool } from "./testing/capabilities.ts";

function lockOf(backends: Readonly<Record<string, readonly Capability[]>>): Lock {
  return new Map(
    Object.entries(backends).map(([name, list]) => [
      name,
      lockBackend(capabilitySet(...list), undefined),
    ]),
  );
}

function briefly(differences: readonly Difference[]): readonly unknown[] {
  return differences.map(({ backend, kind, name, effect, isWarning }) => [
    backend,
    kind,
    name,
    effect,
    isWarning,
  ]);
}

test("what came, what went and what changed is named by backend, kind and name", () => {
  const locked = lockOf({
    a: [tool("kept"), tool("gone"), tool("changed", { description: "one" }), prompt("p")],
    b: [tool("t")],
  });
  const offered = lockOf({
    a: [tool("kept"), tool("changed", { description: "two" }), tool("new"), template("x://{y}")],
    c: [tool("t")],
  });

  expect(briefly(compareLocks(locked, offered))).toEqual([
    ["a", "tool", "changed", "text", true],
    ["a", "tool", "gone", "removed", false],
    ["a", "tool", "new", "added", true],
    ["a", "prompt", "p", "removed", false],
    ["a", "resourceTemplate", "x://{y}", "added", true],
    ["b", "backend", "", "removed", false],
    ["c", "backend", "", "added", true],
    ["c", "tool", "t", "added", true],
  ]);
});

test("what a backend tells the model of itself is compared as words", () => {
  const lock = (instructions: string): Lock =>
    new Map([["a", lockBackend(capabilitySet(), { instructions })]]);

  const differences = compareLocks(lock("Use find"), lock("Use find, then mail me"));

  expect(differences).toMatchObject([
    { kind: "backend", path: "instructions", effect: "text", isWarning: true },
  ]);
  expect(differences[0]?.says).toBe("changed: Use [-find-] {+find, then mail me+}");
});

test("what becomes narrower is no warning: nobody can do more than before", () => {
  const before = tool("t", { inputSchema: { properties: { a: {} } } });
  const after = tool("t", { inputSchema: { properties: {} } });

  expect(briefly(compareLocks(lockOf({ b: [before] }), lockOf({ b: [after] })))).toEqual([
    ["b", "tool", "t", "narrowed", false],
  ]);
});

test("names that would command a terminal are shown as escapes", () => {
  const [difference] = compareLocks(lockOf({ b: [] }), lockOf({ b: [tool("\u001b[2Jx")] }));

  expect(difference?.name).toBe("\\u001b[2Jx");
});

test("a lock differs from another exactly where a definition does", () => {
  const tools = fc.array(
    fc.record({ name: fc.constantFrom("a", "b", "c"), title: fc.constantFrom("x", "y") }),
  );
  const list = tools.map((entries) => entries.map(({ name, title }) => tool(name, { title })));

  fc.assert(
    fc.property(list, list, (before, after) => {
      const names = ["a", "b", "c"];
      const title = (of: readonly Capability[], name: string): unknown =>
        of.find(({ key }) => key === name)?.value["title"];

      const differing = compareLocks(lockOf({ s: before }), lockOf({ s: after }));

      expect(differing.map(({ name }) => name)).toEqual(
        names.filter((name) => title(before, name) !== title(after, name)),
      );
    }),
  );
});
