import { describe, expect, test } from "vitest";
import type { Capability } from "../domain/capabilities.ts";
import { lockBackend, type Lock } from "./lock.ts";
import { Pins, type PinMode, type Verdict } from "./pins.ts";
import { capability, capabilitySet, prompt, template, tool } from "./testing/capabilities.ts";

const LOCKED = [tool("t", { description: "one" }), prompt("p"), template("x://{y}")];
const LOCK: Lock = new Map([["b", lockBackend(capabilitySet(...LOCKED), undefined)]]);

function judge(mode: PinMode, ...offered: readonly Capability[]): Verdict {
  return new Pins(LOCK, () => mode).judge("b", capabilitySet(...offered));
}

test("lists that are as they were locked are offered", () => {
  expect(judge("quarantine", ...LOCKED.toReversed())).toEqual({
    mismatches: [],
    withheld: undefined,
  });
});

describe("in quarantine", () => {
  test("what changed is withheld, and nothing else", () => {
    const { mismatches, withheld } = judge(
      "quarantine",
      tool("t", { description: "two" }),
      prompt("p"),
    );

    expect(mismatches).toMatchObject([
      { backend: "b", kind: "tool", name: "t", is: "changed", isWithheld: true },
    ]);
    expect(mismatches[0]?.changes).toMatchObject([{ path: "description", effect: "text" }]);
    expect(withheld?.tool.get("t")).toBe(
      "its definition differs from the lock file; run `vmcp check`",
    );
    expect([withheld?.prompt.size, withheld?.resourceTemplate.size]).toEqual([0, 0]);
  });

  test("what was not locked is withheld", () => {
    const { withheld } = judge(
      "quarantine",
      ...LOCKED,
      tool("new"),
      prompt("q"),
      template("z://{y}"),
    );

    expect(withheld?.tool.get("new")).toBe("it is not in the lock file; run `vmcp check`");
    expect([...(withheld?.prompt.keys() ?? [])]).toEqual(["q"]);
    expect([...(withheld?.resourceTemplate.keys() ?? [])]).toEqual(["z://{y}"]);
  });

  test("everything of a backend that was not locked is withheld", () => {
    const pins = new Pins(new Map(), () => "quarantine");

    const { mismatches } = pins.judge("b", capabilitySet(...LOCKED));

    expect(mismatches.map(({ is }) => is)).toEqual(["unlocked", "unlocked", "unlocked"]);
  });

  test("resources are offered as they come", () => {
    const resource = capability("resource", '{"uri":"x://1","name":"new"}');

    expect(judge("quarantine", ...LOCKED, resource).mismatches).toEqual([]);
  });

  test("what is no longer offered is nothing to withhold", () => {
    expect(judge("quarantine").mismatches).toEqual([]);
  });
});

test("with a warning everything is offered, and what differs is named", () => {
  const { mismatches, withheld } = judge("warn", tool("t", { description: "two" }));

  expect(mismatches).toMatchObject([{ name: "t", isWithheld: false }]);
  expect(withheld).toBeUndefined();
});

test("where nothing is pinned nothing is compared", () => {
  expect(judge("off", tool("t", { description: "two" })).mismatches).toEqual([]);
});

test("each backend is held to the lock in its own way", () => {
  const pins = new Pins(new Map(), (backend) => (backend === "a" ? "off" : "quarantine"));

  expect(pins.judge("a", capabilitySet(tool("t"))).mismatches).toHaveLength(0);
  expect(pins.judge("b", capabilitySet(tool("t"))).mismatches).toHaveLength(1);
});

test("lists that were judged once are not compared again", () => {
  const pins = new Pins(LOCK, () => "quarantine");
  const offered = capabilitySet(tool("t", { description: "two" }));

  expect(pins.judge("b", offered)).toBe(pins.judge("b", offered));
});
