import { expect, test } from "vitest";
import type { VmcpConfigInput } from "../../../src/config/load-config.ts";
import { startHttpLedger } from "../../support/ledger-backend.ts";
import type { LedgerScript } from "../../support/ledger-script.ts";
import { openRawSession } from "../../support/raw-client.ts";
import { callText, startKnobs, toolEntry, toolNamesOf } from "./knob-gateway.ts";

type Aggregation = NonNullable<VmcpConfigInput["aggregation"]>;

/** A backend that answers every call with its name. */
function script(backend: string, name: string): Partial<LedgerScript> {
  const tools = ["find", name];
  const result = `{"content":[{"type":"text","text":"${backend}"}]}`;
  return {
    hasBuiltInTools: false,
    tools: tools.map((tool) => toolEntry(tool)),
    results: new Map(tools.map((tool) => [tool, result])),
  };
}

/** What a session sees of two backends that share the name `find`, and who answers to each name. */
async function seenNames(
  aggregation: Aggregation,
  own: readonly string[] = ["read", "write"],
): Promise<readonly string[]> {
  await using alpha = await startHttpLedger(script("alpha", own[0] ?? ""));
  await using beta = await startHttpLedger(script("beta", own[1] ?? ""));
  await using gateway = await startKnobs({
    backends: [
      { name: "alpha", url: alpha.url },
      { name: "beta", url: beta.url },
    ],
    aggregation,
  });
  const session = await openRawSession(gateway.url);
  const names = await toolNamesOf(session);
  const answers = names.map(async (name) => {
    const backend = await callText(session, String(name));
    return `${String(name)} = ${backend}`;
  });
  return await Promise.all(answers);
}

test.for([
  ["prefix", ["alpha_find = alpha", "alpha_read = alpha", "beta_find = beta", "beta_write = beta"]],
  ["prefixOnConflict", ["alpha_find = alpha", "read = alpha", "beta_find = beta", "write = beta"]],
  ["priority", ["read = alpha", "find = beta", "write = beta"]],
  ["manual", ["read = alpha", "write = beta"]],
] as const)(
  "aggregation.conflictResolution: %s settles a shared name",
  async ([strategy, seen]) => {
    const names = await seenNames({
      conflictResolution: strategy,
      conflictResolutionConfig: { priorityOrder: ["beta", "alpha"] },
    });

    expect(new Set(names)).toEqual(new Set<string>(seen));
    expect(names).toHaveLength(seen.length);
  },
);

test("aggregation.conflictResolutionConfig.prefixFormat: is what stands before a name", async () => {
  const names = await seenNames({
    conflictResolution: "prefix",
    conflictResolutionConfig: { prefixFormat: "team.{workload}-" },
  });

  expect(names).toContain("team.alpha-find = alpha");
});

test.for([["alpha", "beta"] as const, ["beta", "alpha"] as const])(
  "aggregation.conflictResolutionConfig.priorityOrder: %s, the first, wins",
  async ([first, second]) => {
    const names = await seenNames({
      conflictResolution: "priority",
      conflictResolutionConfig: { priorityOrder: [first, second] },
    });

    expect(names.filter((name) => name.startsWith("find"))).toEqual([`find = ${first}`]);
  },
);

test("aggregation.maxNameLength: shortens what is longer, which stays callable", async () => {
  const fits = "x".repeat(16);
  const own = [fits, `${fits}y`] as const;
  const aggregation = { conflictResolution: "prefixOnConflict" } as const;

  const usual = await seenNames(aggregation, own);
  const short = await seenNames({ ...aggregation, maxNameLength: 16 }, own);

  expect(usual).toContain(`${fits}y = beta`);
  expect(short).toContain(`${fits} = alpha`);
  expect(short).toContainEqual(expect.stringMatching(/^x{7}_[0-9a-f]{8} = beta$/));
});
