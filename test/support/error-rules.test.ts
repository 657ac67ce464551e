import { expect, test } from "vitest";
import { faultsOfError } from "./error-rules.ts";

test.for<[string, unknown]>([
  ["a plain refusal", { code: -32_602, message: 'Unknown tool "x"; see tools/list' }],
  [
    "a failure of a backend",
    {
      code: -32_603,
      message: 'Backend "b" answered with neither JSON nor text/event-stream',
      data: { kind: "backend_protocol", backend: "b", executionState: "unknown" },
    },
  ],
])("%s is as it should be [I14]", ([, error]) => {
  expect(faultsOfError(error, ["sid-1"])).toEqual([]);
});

test.for<[string, unknown, string]>([
  ["no object", "oops", "the error is not an object"],
  ["without a message", { code: 1, message: "" }, "the error has no message"],
  ["too long", { message: "x".repeat(301) }, "the message has 301 characters"],
  ["with a stack", { message: "Error\n    at f (x.js:1:2)" }, "it tells a stack"],
  ["with a path", { message: "cannot read /etc/passwd" }, "it tells a path"],
  ["with a URL", { message: "fetch http://internal failed" }, "it tells a URL"],
  ["with an address", { message: "connect 10.0.0.1:80 failed" }, "it tells an address"],
  ["with a secret in its data", { message: "no", data: { x: "sid-1" } }, "it tells sid-1"],
  ["of no known kind", { message: "no", data: { kind: "odd" } }, 'its kind "odd" is not known'],
])("an error %s is found [I14]", ([, error, fault]) => {
  expect(faultsOfError(error, ["sid-1"])).toEqual([fault]);
});
