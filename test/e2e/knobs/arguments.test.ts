import { expect, test } from "vitest";
import type { VmcpConfigInput } from "../../../src/config/load-config.ts";
import type { JsonObject } from "../../../src/domain/json.ts";
import { startHttpLedger } from "../../support/ledger-backend.ts";
import { openRawSession } from "../../support/raw-client.ts";
import { call, startKnobs } from "./knob-gateway.ts";

/** Calls a tool with this schema with an argument `a` that is no string, and says whether its backend saw that. */
async function reachesBackend(
  inputSchema: JsonObject,
  { validateArguments = true, limits = {} }: Knobs = {},
): Promise<boolean> {
  const tools = [JSON.stringify({ name: "t", inputSchema })];
  const results = new Map([["t", '{"content":[]}']]);
  await using ledger = await startHttpLedger({ hasBuiltInTools: false, tools, results });
  const backend = { name: "b1", url: ledger.url, validateArguments };
  await using gateway = await startKnobs({ backends: [backend], limits });

  const { result } = await call(await openRawSession(gateway.url), "t", { a: 7 });

  const wasRefused = result?.["isError"] === true;
  expect(ledger.ledger.calls).toHaveLength(wasRefused ? 0 : 1);
  return !wasRefused;
}

interface Knobs {
  readonly validateArguments?: boolean;
  readonly limits?: NonNullable<VmcpConfigInput["limits"]>;
}

const STRING_A = { properties: { a: { type: "string" } } };

test("backends[].validateArguments: answers in place of the backend where arguments do not fit [I12]", async () => {
  expect(await reachesBackend(STRING_A, { validateArguments: true })).toBe(false);
  expect(await reachesBackend(STRING_A, { validateArguments: false })).toBe(true);
});

test("limits.subSchemas: uses schemas of as many sub-schemas and none of one more", async () => {
  const limits = { subSchemas: 3 };
  const three = { properties: { a: { type: "string" }, b: {} } };
  const four = { properties: { a: { type: "string" }, b: {}, c: {} } };

  expect(await reachesBackend(three, { limits })).toBe(false);
  expect(await reachesBackend(four, { limits })).toBe(true);
  expect(await reachesBackend(four)).toBe(false);
});

test("limits.schemaDepth: uses schemas nested as deep and none one level deeper", async () => {
  const limits = { schemaDepth: 2 };
  const three = { properties: { a: { type: "string" }, b: { items: {} } } };

  expect(await reachesBackend(STRING_A, { limits })).toBe(false);
  expect(await reachesBackend(three, { limits })).toBe(true);
  expect(await reachesBackend(three)).toBe(false);
});
