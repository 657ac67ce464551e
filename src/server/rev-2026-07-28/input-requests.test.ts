import { expect, test } from "vitest";
import { capabilityMissing, questionsOf, toInputRequest } from "./input-requests.ts";

const LINK = { mode: "url", message: "Sign in", url: "https://idp.example/x", elicitationId: "e" };

test("a backend's request stands among the questions with its params as they were written", () => {
  const bytes = Buffer.from('{"jsonrpc":"2.0","id":"vmcp:1","method":"x","params":{"n": 1e400 }}');

  const json = toInputRequest("elicitation/create", bytes);

  expect(json).toBe('{"method":"elicitation/create","params":{"n": 1e400 }}');
});

test.for([
  ["elicitation/create", undefined, { elicitation: { form: {} } }],
  ["elicitation/create", { mode: "url" }, { elicitation: { url: {} } }],
  ["sampling/createMessage", {}, { sampling: {} }],
  ["sampling/createMessage", { tools: [] }, { sampling: { tools: {} } }],
  ["roots/list", undefined, { roots: {} }],
] as const)(
  "what %s with %j needs is named in the terms of capabilities",
  ([method, params, needed]) => {
    const error = capabilityMissing(method, params);

    expect(error).toMatchObject({
      code: "client_capability_missing",
      data: { requiredCapabilities: needed },
    });
  },
);

test.for([
  ["a client that opens links", "tools/call", { elicitation: { url: {} } }, true],
  ["a client that does not", "tools/call", { elicitation: { form: {} } }, false],
  ["a client that cannot be asked", "tools/call", {}, false],
  ["a request that asks nothing", "completion/complete", { elicitation: { url: {} } }, false],
] as const)(
  "%s is asked to sign in where a backend wants it: in %s",
  ([, method, capabilities, isAsked]) => {
    const error = { code: -32_042, data: { elicitations: [LINK] } };
    const { elicitationId: _id, ...params } = LINK;

    const json = questionsOf(error, method, capabilities);

    const question = { "link-1": { method: "elicitation/create", params } };
    expect(json === undefined ? undefined : JSON.parse(json)).toEqual(
      isAsked ? question : undefined,
    );
  },
);

test.for([
  ["of another kind", { code: -32_603, data: { elicitations: [LINK] } }],
  ["without links", { code: -32_042, data: { elicitations: [] } }],
  ["that says nothing", { code: -32_042 }],
] as const)("a failure %s is no question", ([, error]) => {
  expect(questionsOf(error, "tools/call", { elicitation: { url: {} } })).toBeUndefined();
});
