import { expect, test } from "vitest";
import { VmcpError } from "../domain/errors.ts";
import { toJsonRpcError, wireCodeOf } from "./wire-errors.ts";

test("a failure at a backend says which, what kind, whether it ran and when to try again", () => {
  const error = new VmcpError("backend_rate_limited", 'Backend "b1" is busy', {
    backend: "b1",
    executionState: "not_executed",
    retryAfterSeconds: 7,
  });

  expect(toJsonRpcError(error)).toEqual({
    code: -32_603,
    message: 'Backend "b1" is busy',
    data: {
      kind: "backend_rate_limited",
      backend: "b1",
      executionState: "not_executed",
      retryAfterSeconds: 7,
    },
  });
});

test.for([{ code: 3 }, { signal: "SIGKILL" }])(
  "a failure by the end of a process says how it ended: %j",
  (exit) => {
    const error = new VmcpError("backend_closed", 'Backend "b1" ended', { backend: "b1", exit });

    expect(toJsonRpcError(error)).toMatchObject({ data: { kind: "backend_closed", exit } });
  },
);

test("a fault of the client's own has no data", () => {
  const error = new VmcpError("invalid_params", '"params.name" must be a text');

  expect(toJsonRpcError(error)).toEqual({ code: -32_602, message: '"params.name" must be a text' });
});

test.for<[string, unknown]>([
  ["a bug", new TypeError("x is undefined at /srv/app/secret.ts:1")],
  ["something that is no error", "password=hunter2"],
  ["an internal error", new VmcpError("internal", "the table is corrupt")],
  ["a configuration found wrong too late", new VmcpError("invalid_config", "key abc is wrong")],
])("%s says nothing but that it happened", ([, thrown]) => {
  expect(toJsonRpcError(thrown)).toEqual({ code: -32_603, message: "Internal error" });
});

test("what happened below is not told", () => {
  const cause = new Error("ECONNREFUSED http://user:pw@10.0.0.1");
  const error = new VmcpError("backend_unreachable", 'Backend "b" does not answer', { cause });

  expect(JSON.stringify(toJsonRpcError(error))).not.toContain("10.0.0.1");
});

test.for([
  [300, 300],
  [301, 300],
] as const)("of a message of %i characters %i reach the client", ([given, expected]) => {
  const { message } = toJsonRpcError(new VmcpError("backend_error", "m".repeat(given)));

  expect(message).toHaveLength(expected);
});

test.for([
  ["session_not_found", -32_001],
  ["session_terminated", -32_001],
  ["method_not_found", -32_601],
  ["capability_not_found", -32_602],
  ["parse_error", -32_700],
  ["backend_timeout", -32_603],
  ["store_unavailable", 503],
  ["too_many_sessions", 503],
] as const)("%s has the code %i on the wire", ([code, expected]) => {
  expect(wireCodeOf(code)).toBe(expected);
  expect(toJsonRpcError(new VmcpError(code, "x")).code).toBe(expected);
});
