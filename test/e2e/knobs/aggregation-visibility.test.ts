import { describe, expect, test } from "vitest";
import type { VmcpConfigInput } from "../../../src/config/load-config.ts";
import type { LedgerScript } from "../../support/ledger-script.ts";
import { startHttpLedger } from "../../support/ledger-backend.ts";
import { openRawSession } from "../../support/raw-client.ts";
import { ask, listOf, startKnobs, toolEntry, type Answer } from "./knob-gateway.ts";

type Aggregation = NonNullable<VmcpConfigInput["aggregation"]>;

/** How one kind of capability is listed and used. */
interface Kind {
  readonly member: "tools" | "prompts" | "resources";
  readonly keyMember: "name" | "uri";
  readonly use: string;
  readonly open: string;
  readonly closed: string;
}

const TOOLS: Kind = {
  member: "tools",
  keyMember: "name",
  use: "tools/call",
  open: "open",
  closed: "closed",
};
const PROMPTS: Kind = {
  member: "prompts",
  keyMember: "name",
  use: "prompts/get",
  open: "open",
  closed: "closed",
};
const RESOURCES: Kind = {
  member: "resources",
  keyMember: "uri",
  use: "resources/read",
  open: "file:///open",
  closed: "file:///closed",
};

const EMPTY_RESULT = '{"content":[]}';

const ALPHA: Partial<LedgerScript> = {
  hasBuiltInTools: false,
  tools: [toolEntry("open"), toolEntry("closed")],
  results: new Map([
    ["open", EMPTY_RESULT],
    ["closed", EMPTY_RESULT],
  ]),
  prompts: ['{"name":"open"}', '{"name":"closed"}'],
  resources: ['{"uri":"file:///open","name":"open"}', '{"uri":"file:///closed","name":"closed"}'],
};

const BETA: Partial<LedgerScript> = {
  hasBuiltInTools: false,
  tools: [toolEntry("other")],
  results: new Map([["other", EMPTY_RESULT]]),
  prompts: ['{"name":"other"}'],
  resources: ['{"uri":"file:///other","name":"other"}'],
};

interface Seen {
  readonly keys: readonly unknown[];
  /** What comes of using the closed one. */
  readonly closed: Answer;
  /** What comes of using one that no backend has. */
  readonly unknown: Answer;
  /** Whether any backend heard of the closed one. */
  readonly wasAsked: boolean;
}

async function see(kind: Kind, aggregation: Aggregation, hasBeta = true): Promise<Seen> {
  await using alpha = await startHttpLedger(ALPHA);
  await using beta = await startHttpLedger(BETA);
  await using gateway = await startKnobs({
    backends: [
      { name: "alpha", url: alpha.url },
      ...(hasBeta ? [{ name: "beta", url: beta.url }] : []),
    ],
    aggregation,
  });
  const session = await openRawSession(gateway.url);
  const { member, keyMember, use, closed } = kind;
  const listed = await listOf(session, `${member}/list`, member);
  const using = async (key: string) => ask(session, use, { [keyMember]: key });
  return {
    keys: listed.map((item) => item[keyMember]),
    closed: await using(closed),
    unknown: await using(closed.replace("closed", "absent")),
    wasAsked: [alpha, beta].some(({ ledger }) =>
      ledger.messages.some(({ method, text }) => method === use && text.includes("closed")),
    ),
  };
}

/** A hidden capability is not in the list, and whoever names it learns nothing and reaches nobody. */
function expectHidden({ keys, closed, unknown, wasAsked }: Seen, kind: Kind): void {
  const told = JSON.stringify(closed.error).replaceAll("closed", "absent");
  expect(keys).not.toContain(kind.closed);
  expect(closed.error?.code).toBe(-32_602);
  expect(told).toBe(JSON.stringify(unknown.error));
  expect(wasAsked).toBe(false);
}

test.for([
  ["tools", TOOLS],
  ["prompts", PROMPTS],
  ["resources", RESOURCES],
] as const)("without a rule all %s are listed and usable", async ([_name, kind]) => {
  const { keys, closed } = await see(kind, {});

  expect(keys).toEqual([kind.open, kind.closed, kind.open.replace("open", "other")]);
  expect(closed).toHaveProperty("result");
});

test.for([
  ["aggregation.tools[].filter: hides what it does not list", TOOLS],
  ["aggregation.prompts[].filter: hides what it does not list", PROMPTS],
  ["aggregation.resources[].filter: hides what it does not list", RESOURCES],
] as const)("%s", async ([_title, kind]) => {
  const filter = [kind.open.replace("open", "op*")];

  const seen = await see(kind, { [kind.member]: [{ workload: "alpha", filter }] });

  expect(seen.keys).toEqual([kind.open, kind.open.replace("open", "other")]);
  expectHidden(seen, kind);
});

test.for([
  ["aggregation.tools[].excludeAll: hides everything of the backend", TOOLS],
  ["aggregation.prompts[].excludeAll: hides everything of the backend", PROMPTS],
  ["aggregation.resources[].excludeAll: hides everything of the backend", RESOURCES],
] as const)("%s", async ([_title, kind]) => {
  const seen = await see(kind, { [kind.member]: [{ workload: "alpha", excludeAll: true }] }, false);

  expect(seen.keys).toEqual([]);
  expectHidden(seen, kind);
});

test.for([
  ["aggregation.tools[].workload: is the only backend that the rule is for", TOOLS],
  ["aggregation.prompts[].workload: is the only backend that the rule is for", PROMPTS],
  ["aggregation.resources[].workload: is the only backend that the rule is for", RESOURCES],
] as const)("%s", async ([_title, kind]) => {
  const rule = (workload: string) => ({ [kind.member]: [{ workload, excludeAll: true }] });

  const alpha = await see(kind, rule("alpha"));
  const beta = await see(kind, rule("beta"));

  expect(alpha.keys).toEqual([kind.open.replace("open", "other")]);
  expect(beta.keys).toEqual([kind.open, kind.closed]);
});

test("aggregation.excludeAllTools: leaves no tool, and all the rest", async () => {
  const tools = await see(TOOLS, { excludeAllTools: true });
  const prompts = await see(PROMPTS, { excludeAllTools: true });

  expect(tools.keys).toEqual([]);
  expectHidden(tools, TOOLS);
  expect(prompts.keys).toHaveLength(3);
});

test("aggregation.defaultToolVisibility: deny hides the tools of backends without an entry", async () => {
  const seen = await see(TOOLS, {
    defaultToolVisibility: "deny",
    tools: [{ workload: "beta" }],
  });

  expect(seen.keys).toEqual(["other"]);
  expectHidden(seen, TOOLS);
});

describe("a resource that is hidden cannot be read by a way round the list", () => {
  const aggregation = { resources: [{ workload: "alpha", filter: ["file:///open"] }] };

  test("where its backend is the only one with resources", async () => {
    const seen = await see(RESOURCES, aggregation, false);

    expect(seen.keys).toEqual(["file:///open"]);
    expectHidden(seen, RESOURCES);
  });

  test("where a result of its backend has named it", async () => {
    const link = { type: "resource_link", uri: "file:///closed", name: "closed" };
    const results = new Map([["open", JSON.stringify({ content: [link] })]]);
    await using alpha = await startHttpLedger({ ...ALPHA, results });
    await using beta = await startHttpLedger(BETA);
    await using gateway = await startKnobs({
      backends: [
        { name: "alpha", url: alpha.url },
        { name: "beta", url: beta.url },
      ],
      aggregation,
    });
    const session = await openRawSession(gateway.url);

    await ask(session, "tools/call", { name: "open" });
    const { error } = await ask(session, "resources/read", { uri: "file:///closed" });

    expect(error).toEqual({ code: -32_602, message: "Unknown resource: file:///closed" });
  });

  test("while an unlisted one that the filter covers can be read", async () => {
    const covering = { resources: [{ workload: "alpha", filter: ["file:///*"] }] };

    const seen = await see(RESOURCES, covering, false);

    expect(seen.unknown).toHaveProperty("result");
  });
});
