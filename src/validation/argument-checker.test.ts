import { expect, test } from "vitest";
import { inboundRequest } from "../../test/support/sessions.ts";
import { parseBackendName } from "../domain/ids.ts";
import type { JsonObject } from "../domain/json.ts";
import { SILENT_LOGGER, type LogFields } from "../domain/logger.ts";
import type { Route } from "../domain/routing-table.ts";
import { ArgumentChecker } from "./argument-checker.ts";

const B1 = parseBackendName("b1");
const B2 = parseBackendName("b2");

const STRICT = { type: "object", properties: { n: { type: "integer" } }, required: ["n"] };

function route(originalName: string, backend = B1): Route {
  return { kind: "tool", backend, originalName, advertisedName: `my_${originalName}` };
}

function createChecker(): { checker: ArgumentChecker; warnings: LogFields[] } {
  const warnings: LogFields[] = [];
  const checker = new ArgumentChecker({
    backends: new Set([B1]),
    limits: { subSchemas: 10, depth: 10 },
    logger: { ...SILENT_LOGGER, warn: (_message, fields = {}) => void warnings.push(fields) },
  });
  return { checker, warnings };
}

function call(args?: JsonObject): ReturnType<typeof inboundRequest> {
  return inboundRequest(1, "tools/call", { name: "any", ...(args && { arguments: args }) });
}

function listing(definition?: JsonObject): { toolOf: () => JsonObject | undefined } {
  return { toolOf: () => definition };
}

test.for<[JsonObject | undefined, string | undefined]>([
  [{ n: 1 }, undefined],
  [{ n: "1" }, "/n must be an integer, not a string of length 1"],
  [{}, "/n is missing, it must be an integer"],
  [undefined, "/n is missing, it must be an integer"],
])("arguments %j: %s", ([args, fault]) => {
  const { checker } = createChecker();

  const told = checker.faultOf(call(args), route("t"), listing({ inputSchema: STRICT }));

  expect(told).toBe(fault && `The arguments of "my_t" do not fit its schema: ${fault}`);
});

test("a backend that is not to be checked is not asked about", () => {
  const { checker } = createChecker();
  const tools = {
    toolOf: () => {
      throw new Error("nobody needs to know");
    },
  };

  expect(checker.faultOf(call(), route("t", B2), tools)).toBeUndefined();
});

test.for([undefined, {}, { description: "no schema" }])(
  "of a tool that is listed as %j every call goes on, and there is nothing to say",
  (definition) => {
    const { checker, warnings } = createChecker();

    expect(checker.faultOf(call(), route("t"), listing(definition))).toBeUndefined();
    expect(warnings).toEqual([]);
  },
);

test("that a schema cannot be used is said once for each tool", () => {
  const { checker, warnings } = createChecker();
  const tools = listing({ inputSchema: { $ref: "http://127.0.0.1:1/schema" } });

  for (const name of ["one", "one", "two", "one"]) {
    expect(checker.faultOf(call(), route(name), tools)).toBeUndefined();
  }

  expect(warnings).toEqual([
    { backend: "b1", tool: "one", reason: expect.stringContaining("reference") },
    { backend: "b1", tool: "two", reason: expect.stringContaining("reference") },
  ]);
});

test("a long reason is cut", () => {
  const { checker, warnings } = createChecker();
  const tools = listing({ inputSchema: { $ref: `#/${"x".repeat(10_000)}` } });

  checker.faultOf(call(), route("t"), tools);

  expect(String(warnings[0]?.["reason"]).length).toBeLessThan(250);
});

test("a tool whose schema was replaced is checked by the new one", () => {
  const { checker } = createChecker();
  const before = listing({ inputSchema: STRICT });
  const after = listing({ inputSchema: { type: "object" } });

  expect(checker.faultOf(call(), route("t"), before)).toBeDefined();
  expect(checker.faultOf(call(), route("t"), after)).toBeUndefined();
  expect(checker.faultOf(call(), route("t"), before)).toBeDefined();
});
