import { expect, test } from "vitest";
import type { CapabilitySet } from "../domain/capabilities.ts";
import type { JsonObject } from "../domain/json.ts";
import type { OutboundRequest } from "../mcp/exchange.ts";
import { isRepeatableCall } from "./repeatable-call.ts";

function offering(value: JsonObject): CapabilitySet {
  const tool = { kind: "tool", key: "t", json: JSON.stringify(value), value } as const;
  return { hash: "", tools: [tool], prompts: [], resources: [], resourceTemplates: [] };
}

function request(method: string, name: string): OutboundRequest {
  return { id: 1, method, bytes: Buffer.from(JSON.stringify({ params: { name } })) };
}

test.for<readonly [JsonObject, boolean]>([
  [{ annotations: { readOnlyHint: true } }, true],
  [{ annotations: { idempotentHint: true } }, true],
  [{ annotations: { readOnlyHint: false, idempotentHint: true } }, true],
  [{ annotations: { readOnlyHint: false, idempotentHint: false } }, false],
  [{ annotations: { readOnlyHint: "true" } }, false],
  [{ annotations: { destructiveHint: false } }, false],
  [{ annotations: [] }, false],
  [{}, false],
])("a call of a tool that is listed as %j may be repeated: %s", ([listed, isRepeatable]) => {
  expect(isRepeatableCall(request("tools/call", "t"), offering(listed))).toBe(isRepeatable);
});

test.for([
  ["tools/call", "other"],
  ["prompts/get", "t"],
  ["resources/read", "t"],
])("%s of %s, which is no listed tool, may not be repeated", ([method = "", name = ""]) => {
  const offered = offering({ annotations: { readOnlyHint: true } });

  expect(isRepeatableCall(request(method, name), offered)).toBe(false);
});

test("nothing may be repeated at a backend whose lists are not known", () => {
  expect(isRepeatableCall(request("tools/call", "t"), undefined)).toBe(false);
});
