import { expect, test } from "vitest";
import { startHttpLedger } from "../../support/ledger-backend.ts";
import { openRawSession } from "../../support/raw-client.ts";
import { listOf, startKnobs, toolEntry } from "./knob-gateway.ts";

/** Title, and what stands under the original name in `overrides`. */
const OVERRIDES = [
  ["name: is the name in the list", { name: "renamed" }],
  ["description: is the description in the list", { description: "Changed." }],
  ["annotations.title: is the title in the list", { annotations: { title: "Changed" } }],
  ["annotations.readOnlyHint: is that hint in the list", { annotations: { readOnlyHint: true } }],
  [
    "annotations.destructiveHint: is that hint in the list",
    { annotations: { destructiveHint: false } },
  ],
  [
    "annotations.idempotentHint: is that hint in the list",
    { annotations: { idempotentHint: true } },
  ],
  [
    "annotations.openWorldHint: is that hint in the list",
    { annotations: { openWorldHint: false } },
  ],
] as const;

type Member = "tools" | "prompts" | "resources";

const KEYS: Readonly<Record<Member, string>> = {
  tools: "plain",
  prompts: "plain",
  resources: "file:///plain",
};

/** The only entry of a list, with that override on it or none. */
async function entryWith(member: Member, override: object | undefined): Promise<unknown> {
  await using ledger = await startHttpLedger({
    hasBuiltInTools: false,
    tools: [toolEntry("plain", { description: "As it was." })],
    prompts: ['{"name":"plain","description":"As it was."}'],
    resources: ['{"uri":"file:///plain","name":"plain","description":"As it was."}'],
  });
  const rules = override && [{ workload: "b1", overrides: { [KEYS[member]]: override } }];
  await using gateway = await startKnobs({
    backends: [{ name: "b1", url: ledger.url }],
    aggregation: { [member]: rules ?? [] },
  });
  const session = await openRawSession(gateway.url);
  const [entry] = await listOf(session, `${member}/list`, member);
  return entry;
}

test.for(OVERRIDES)("aggregation.tools[].overrides.NAME.%s", async ([_title, override]) => {
  expect(await entryWith("tools", undefined)).not.toMatchObject(override);
  expect(await entryWith("tools", override)).toMatchObject(override);
});

test.for(OVERRIDES)("aggregation.prompts[].overrides.NAME.%s", async ([_title, override]) => {
  expect(await entryWith("prompts", undefined)).not.toMatchObject(override);
  expect(await entryWith("prompts", override)).toMatchObject(override);
});

test.for(OVERRIDES)("aggregation.resources[].overrides.NAME.%s", async ([_title, override]) => {
  expect(await entryWith("resources", undefined)).not.toMatchObject(override);
  expect(await entryWith("resources", override)).toMatchObject(override);
});
