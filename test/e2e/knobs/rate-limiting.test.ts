import { expect, test } from "vitest";
import type { VmcpConfigInput } from "../../../src/config/load-config.ts";
import type { Identity } from "../../../src/domain/identity.ts";
import { startHttpLedger } from "../../support/ledger-backend.ts";
import { startKnobs } from "./knob-gateway.ts";

type RateLimiting = NonNullable<VmcpConfigInput["rateLimiting"]>;

const KEYS: VmcpConfigInput["incomingAuth"] = {
  type: "apiKey",
  apiKey: { keys: [{ id: "k", subject: "s", sha256: "0".repeat(64) }] },
};

function user(subject: string): Identity {
  return { kind: "verified", issuer: "https://idp", subject };
}

/** Calls, each by somebody of a tool, in that order: for each whether it was let through. */
async function outcomes(
  rateLimiting: RateLimiting,
  calls: readonly (readonly [subject: string, tool: string])[],
): Promise<readonly boolean[]> {
  await using backend = await startHttpLedger();
  await using gateway = await startKnobs({
    backends: [{ name: "b1", url: backend.url }],
    incomingAuth: KEYS,
    rateLimiting,
  });
  const through: boolean[] = [];
  for (const [subject, tool] of calls) {
    // One after the other: which of them is refused depends on those before.
    /* oxlint-disable no-await-in-loop */
    const session = await gateway.vmcp.openSession(user(subject));
    const [outcome] = await Promise.allSettled([session.callTool(tool, {})]);
    /* oxlint-enable no-await-in-loop */
    through.push(outcome.status === "fulfilled");
  }
  return through;
}

const [ALICE, BOB, ALICE_ELSE] = [
  ["alice", "echo"],
  ["bob", "echo"],
  ["alice", "whoami"],
] as const;

function hourly(maxTokens: number): NonNullable<RateLimiting["shared"]> {
  return { maxTokens, refillPeriod: "1h" };
}

/** So short that it is full again before the next call can come. */
function atOnce(maxTokens: number): NonNullable<RateLimiting["shared"]> {
  return { maxTokens, refillPeriod: "1ms" };
}

/** A limit with that bucket, for each place where one may stand. */
const PLACES = {
  "rateLimiting.shared": (shared) => ({ shared }),
  "rateLimiting.perUser": (perUser) => ({ perUser }),
  "rateLimiting.tools[].shared": (shared) => ({ tools: [{ name: "echo", shared }] }),
  "rateLimiting.tools[].perUser": (perUser) => ({ tools: [{ name: "echo", perUser }] }),
} as const satisfies Record<string, (bucket: ReturnType<typeof hourly>) => RateLimiting>;

const SHARED = PLACES["rateLimiting.shared"];
const PER_USER = PLACES["rateLimiting.perUser"];
const TOOL_SHARED = PLACES["rateLimiting.tools[].shared"];
const TOOL_PER_USER = PLACES["rateLimiting.tools[].perUser"];

test("rateLimiting.shared.maxTokens: is how many calls all clients together may make at once", async () => {
  expect(await outcomes(SHARED(hourly(1)), [ALICE, BOB, ALICE_ELSE])).toEqual([true, false, false]);
  expect(await outcomes(SHARED(hourly(2)), [ALICE, BOB, ALICE_ELSE])).toEqual([true, true, false]);
});

test("rateLimiting.shared.refillPeriod: is how long it takes until they may again", async () => {
  expect(await outcomes(SHARED(hourly(1)), [ALICE, ALICE])).toEqual([true, false]);
  expect(await outcomes(SHARED(atOnce(1)), [ALICE, ALICE])).toEqual([true, true]);
});

test("rateLimiting.perUser.maxTokens: is how many calls each client may make at once", async () => {
  expect(await outcomes(PER_USER(hourly(1)), [ALICE, BOB, ALICE_ELSE])).toEqual([
    true,
    true,
    false,
  ]);
  expect(await outcomes(PER_USER(hourly(2)), [ALICE, BOB, ALICE_ELSE])).toEqual([true, true, true]);
});

test("rateLimiting.perUser.refillPeriod: is how long it takes until it may again", async () => {
  expect(await outcomes(PER_USER(hourly(1)), [ALICE, ALICE])).toEqual([true, false]);
  expect(await outcomes(PER_USER(atOnce(1)), [ALICE, ALICE])).toEqual([true, true]);
});

test("rateLimiting.tools[].name: is the tool that is limited, and others are not", async () => {
  const limits = (name: string): RateLimiting => ({ tools: [{ name, shared: hourly(1) }] });

  expect(await outcomes(limits("echo"), [ALICE, BOB, ALICE_ELSE])).toEqual([true, false, true]);
  expect(await outcomes(limits("whoami"), [ALICE, BOB, ALICE_ELSE])).toEqual([true, true, true]);
});

test("rateLimiting.tools[].shared.maxTokens: is how many calls of the tool all clients may make", async () => {
  expect(await outcomes(TOOL_SHARED(hourly(1)), [ALICE, BOB])).toEqual([true, false]);
  expect(await outcomes(TOOL_SHARED(hourly(2)), [ALICE, BOB])).toEqual([true, true]);
});

test("rateLimiting.tools[].shared.refillPeriod: is how long it takes until they may again", async () => {
  expect(await outcomes(TOOL_SHARED(hourly(1)), [ALICE, ALICE])).toEqual([true, false]);
  expect(await outcomes(TOOL_SHARED(atOnce(1)), [ALICE, ALICE])).toEqual([true, true]);
});

test("rateLimiting.tools[].perUser.maxTokens: is how many calls of the tool each client may make", async () => {
  expect(await outcomes(TOOL_PER_USER(hourly(1)), [ALICE, ALICE, BOB])).toEqual([
    true,
    false,
    true,
  ]);
  expect(await outcomes(TOOL_PER_USER(hourly(2)), [ALICE, ALICE, BOB])).toEqual([true, true, true]);
});

test("rateLimiting.tools[].perUser.refillPeriod: is how long it takes until it may again", async () => {
  expect(await outcomes(TOOL_PER_USER(hourly(1)), [ALICE, ALICE])).toEqual([true, false]);
  expect(await outcomes(TOOL_PER_USER(atOnce(1)), [ALICE, ALICE])).toEqual([true, true]);
});
