import { describe, expect, test } from "vitest";
import type { WithheldCapability } from "../aggregation/withheld.ts";
import { parseBackendName } from "../domain/ids.ts";
import type { Route } from "../domain/routing-table.ts";
import { withheldNames } from "./withheld-names.ts";

const B1 = parseBackendName("b1");
const REASON = "it is not as it was";

const TOOL: WithheldCapability = {
  kind: "tool",
  backend: B1,
  originalName: "read",
  advertisedName: "b1_read",
  reason: REASON,
};
const TEMPLATE: WithheldCapability = {
  kind: "resourceTemplate",
  backend: B1,
  originalName: "x://{id}",
  advertisedName: "x://{id}",
  reason: REASON,
};

function routeTo(originalName: string): Route {
  return { kind: "tool", backend: B1, originalName, advertisedName: "old" };
}

describe("a name", () => {
  const names = withheldNames([TOOL, TEMPLATE]);

  test("that is withheld is refused with the reason", () => {
    expect(names.refusal("tool", "b1_read", undefined)).toMatchObject({
      code: "capability_not_found",
      message: "The tool b1_read is withheld: it is not as it was",
    });
  });

  test("that once led to what is withheld is refused with the reason", () => {
    expect(names.refusal("tool", "old", routeTo("read"))?.message).toBe(
      "The tool old is withheld: it is not as it was",
    );
  });

  test("that leads elsewhere is not refused", () => {
    expect(names.refusal("tool", "old", routeTo("write"))).toBeUndefined();
    expect(names.refusal("prompt", "b1_read", undefined)).toBeUndefined();
    expect(names.refusal("tool", "unknown", undefined)).toBeUndefined();
  });
});

describe("a URI", () => {
  const names = withheldNames([TEMPLATE]);

  test("that a withheld template covers is refused with the reason", () => {
    expect(names.refusalOfUri("x://7")?.message).toBe(
      "The resource x://7 is withheld: it is not as it was",
    );
    expect(names.covers(B1, "x://7")).toBe(true);
  });

  test("that it does not cover, or of another backend, is not", () => {
    expect(names.refusalOfUri("y://7")).toBeUndefined();
    expect(names.covers(parseBackendName("b2"), "x://7")).toBe(false);
  });
});

test("where nothing is withheld nothing is refused", () => {
  const names = withheldNames([]);

  expect(names.refusal("tool", "b1_read", routeTo("read"))).toBeUndefined();
  expect(names.refusalOfUri("x://7")).toBeUndefined();
  expect(names.covers(B1, "x://7")).toBe(false);
});
