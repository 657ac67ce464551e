import { describe, expect, test } from "vitest";
import { lockBackend, type Lock } from "./lock.ts";
import { parseLock, renderLock } from "./lock-file.ts";
import { capability, capabilitySet, prompt, template, tool } from "./testing/capabilities.ts";

const DEEP = `{"name":"deep","_meta":${'{"a":'.repeat(200)}1${"}".repeat(200)}}`;

const LOCK: Lock = new Map([
  [
    "zoo",
    lockBackend(
      capabilitySet(
        tool("b", { description: "B", inputSchema: { required: ["y", "x"], type: "object" } }),
        tool("a", { description: "hid\u202eden" }),
        tool("__proto__"),
        capability("tool", DEEP),
        prompt("greet"),
        template("file:///{path}"),
      ),
      { instructions: "Be kind" },
    ),
  ],
  ["api", lockBackend(capabilitySet(), undefined)],
]);

test("a lock that was written is read as it was", () => {
  const read = parseLock(renderLock(LOCK), "vmcp.lock.json");

  expect(read).toEqual(LOCK);
});

test("a lock has one text, whatever the order in which backends and tools were listed", () => {
  const [zoo, api] = [...LOCK.values()];
  const other: Lock = new Map([
    ["api", api ?? lockBackend(capabilitySet(), undefined)],
    [
      "zoo",
      {
        instructions: zoo?.instructions,
        entries: {
          tool: new Map([...(zoo?.entries.tool ?? [])].toReversed()),
          prompt: zoo?.entries.prompt ?? new Map(),
          resourceTemplate: zoo?.entries.resourceTemplate ?? new Map(),
        },
      },
    ],
  ]);

  expect(renderLock(other)).toBe(renderLock(LOCK));
});

test("a lock file reads like what it is about, and hides no character", () => {
  const text = renderLock(LOCK);

  expect(text).toContain('"description": "hid\\u202eden"');
  expect(text).toContain('"instructions": "Be kind"');
  expect(text.indexOf('"a": {')).toBeLessThan(text.indexOf('"b": {'));
  expect(text).not.toMatch(/[\p{Cf}\p{Co}]/u);
  expect(text.endsWith("}\n")).toBe(true);
});

test("resources come and go, and are not locked", () => {
  const { entries } = lockBackend(
    capabilitySet(capability("resource", '{"uri":"x://r","name":"r"}')),
    undefined,
  );

  expect(Object.values(entries).every(({ size }) => size === 0)).toBe(true);
});

test("of a name that is listed twice the first is locked, which is the one that clients get", () => {
  const { entries } = lockBackend(
    capabilitySet(tool("t", { title: "first" }), tool("t", { title: "second" })),
    undefined,
  );

  expect(entries.tool.get("t")?.definition).toMatchObject({ title: "first" });
});

describe("a file that must not be used is refused, and says how to write it anew:", () => {
  const edited = (from: string, to: string): string => renderLock(LOCK).replace(from, to);

  test.for([
    ["no JSON", "locked!", "is not JSON"],
    ["no lock", "[]", "is no lock file"],
    ["another version", '{"lockVersion":2,"backends":{}}', "is no lock file of version 1"],
    ["without backends", '{"lockVersion":1}', "is no lock file of version 1"],
    ["a backend that is none", '{"lockVersion":1,"backends":{"b":1}}', 'backend "b"'],
    ["tools that are a list", '{"lockVersion":1,"backends":{"b":{"tools":[]}}}', "no usable tools"],
    [
      "a definition that somebody edited",
      edited('"description": "B"', '"description": "C"'),
      'the tools of backend "zoo" that does not fit its digest',
    ],
    ["a digest that somebody edited", edited("sha256-", "sha256-0"), "does not fit its digest"],
  ] as const)("%s", ([, text, fault]) => {
    const read = (): Lock => parseLock(text, "vmcp.lock.json");

    expect(read).toThrow(fault);
    expect(read).toThrow(
      expect.objectContaining({
        code: "invalid_config",
        message: expect.stringContaining("write it anew with `vmcp lock`"),
      }),
    );
  });
});
