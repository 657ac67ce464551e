import { expect, test } from "vitest";
import type { JsonObject } from "../domain/json.ts";
import { refusalByAbilities, wantsUnofferedContext } from "./client-abilities.ts";

const FORM: JsonObject = { mode: "form" };
const URL_MODE: JsonObject = { mode: "url" };

test.for<[string, JsonObject | undefined, JsonObject]>([
  ["sampling/createMessage", {}, { sampling: {} }],
  ["sampling/createMessage", undefined, { sampling: {} }],
  ["sampling/createMessage", { tools: [], toolChoice: {} }, { sampling: { tools: {} } }],
  ["sampling/createMessage", { includeContext: "thisServer" }, { sampling: {} }],
  ["elicitation/create", {}, { elicitation: {} }],
  ["elicitation/create", FORM, { elicitation: {} }],
  ["elicitation/create", FORM, { elicitation: { form: {}, url: {} } }],
  ["elicitation/create", URL_MODE, { elicitation: { url: {} } }],
  ["roots/list", undefined, { roots: {} }],
  ["tasks/get", { taskId: "t" }, { tasks: {} }],
])("%s with %j may be asked of a client with %j", ([method, params, capabilities]) => {
  expect(refusalByAbilities(capabilities, method, params)).toBeUndefined();
});

test.for<[string, JsonObject | undefined, JsonObject, number]>([
  ["sampling/createMessage", {}, {}, -32_601],
  ["sampling/createMessage", { tools: [] }, { sampling: {} }, -32_602],
  ["sampling/createMessage", { toolChoice: {} }, { sampling: {} }, -32_602],
  ["elicitation/create", {}, { sampling: {} }, -32_601],
  ["elicitation/create", URL_MODE, { elicitation: {} }, -32_602],
  ["elicitation/create", URL_MODE, { elicitation: { form: {} } }, -32_602],
  ["elicitation/create", FORM, { elicitation: { url: {} } }, -32_602],
  ["elicitation/create", { mode: "smell" }, { elicitation: { form: {}, url: {} } }, -32_602],
  ["roots/list", undefined, {}, -32_601],
  ["tasks/get", { taskId: "t" }, {}, -32_601],
  ["toString", undefined, {}, -32_601],
  ["vendor/method", undefined, { "vendor/method": {} }, -32_601],
])("%s with %j is refused for a client with %j", ([method, params, capabilities, code]) => {
  expect(refusalByAbilities(capabilities, method, params)).toMatchObject({ code });
});

const SAMPLING = "sampling/createMessage";

test.for<[string, string, JsonObject, JsonObject | undefined, boolean]>([
  ["2025-11-25", SAMPLING, { sampling: {} }, { includeContext: "thisServer" }, true],
  ["2025-11-25", SAMPLING, { sampling: {} }, { includeContext: "allServers" }, true],
  ["2025-11-25", SAMPLING, { sampling: {} }, { includeContext: null }, true],
  ["2025-11-25", SAMPLING, { sampling: {} }, { includeContext: "none" }, false],
  ["2025-11-25", SAMPLING, { sampling: {} }, {}, false],
  ["2025-11-25", SAMPLING, { sampling: {} }, undefined, false],
  ["2025-11-25", SAMPLING, { sampling: { context: {} } }, { includeContext: "allServers" }, false],
  ["2025-11-25", "roots/list", { sampling: {} }, { includeContext: "allServers" }, false],
  ["2025-06-18", SAMPLING, { sampling: {} }, { includeContext: "allServers" }, false],
])(
  "a client of %s is asked by %s, having %j, for context it never offered with %j: %j",
  ([revision, method, capabilities, params, expected]) => {
    expect(wantsUnofferedContext({ revision, capabilities }, method, params)).toBe(expected);
  },
);
