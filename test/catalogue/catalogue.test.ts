import { readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { afterAll, describe, expect, test } from "vitest";
import { type Entry, type ReadEntry, readCatalogue } from "./entry.ts";
import { EXCEPTIONS } from "./exceptions.ts";
import { tellsApart } from "./identities.ts";
import { needsOwnGateway, runAlone, SharedRig } from "./run-entry.ts";
import { WAITING } from "./waiting.ts";

declare module "vitest" {
  interface TaskMeta {
    /** What was other than the entry says; for those who print a line for each entry. */
    differences?: readonly string[];
  }
}

const SHIPPED = join(import.meta.dirname, "bad-inputs.json");

/** An entry starts processes, waits for deadlines and writes megabytes. */
const ENTRY_TIMEOUT_MS = 120_000;

const file = process.env["VMCP_CATALOGUE"] ?? SHIPPED;
const entries = readCatalogue(readFileSync(file, "utf8"));
const partOf = new Map([...WAITING].flatMap(([part, ids]) => ids.map((id) => [id, part] as const)));
const exceptions = new Map(EXCEPTIONS.map((exception) => [exception.id, exception]));

const waiting = entries.filter(({ id }) => partOf.has(id));
const running = entries.filter(({ id }) => !partOf.has(id));
const alone = running.filter(({ entry }) => entry !== undefined && needsOwnGateway(entry));
const together = running.filter((each) => !alone.includes(each));
const known = together.filter(({ entry }) => entry !== undefined && tellsApart(entry));
const anonymous = together.filter((each) => !known.includes(each));

describe.for([
  ["gets one after the other", false, anonymous],
  ["that tells clients apart gets one after the other", true, known],
] as const)("bad inputs that one gateway %s", ([, hasIdentities, entriesOfRig]) => {
  const rig = new SharedRig({ hasIdentities });

  afterAll(async () => rig[Symbol.asyncDispose]());

  test.for(titled(entriesOfRig))(
    "%s",
    { timeout: ENTRY_TIMEOUT_MS },
    async ([, each], { task }) => {
      const found = each.entry === undefined ? [] : await rig.run(excepted(each.entry));

      task.meta.differences = [...problemsOf(each), ...found];
      expect(task.meta.differences).toEqual([]);
    },
  );
});

describe.concurrent("bad inputs that ask for a gateway of their own", () => {
  test.for(titled(alone))("%s", { timeout: ENTRY_TIMEOUT_MS }, async ([, each], { task }) => {
    const found = each.entry === undefined ? [] : await runAlone(excepted(each.entry));

    task.meta.differences = [...problemsOf(each), ...found];
    expect(task.meta.differences).toEqual([]);
  });
});

describe("bad inputs that wait for a part of the gateway", () => {
  test.for(titled(waiting))("%s", ([, { id }], { skip }) => {
    const part = partOf.get(id);

    expect(part).toBeDefined();
    skip(`waits for: ${part ?? ""}`);
  });
});

function titled(list: readonly ReadEntry[]): readonly (readonly [string, ReadEntry])[] {
  return list.map((each) => [`${each.id}: ${each.description}`, each]);
}

/** What is not known in an entry makes it fail: it may be the very thing that the entry is about. */
function problemsOf({ problem }: ReadEntry): readonly string[] {
  return problem === undefined ? [] : [`the entry cannot be read: ${problem}`];
}

function excepted(entry: Entry): Entry {
  const exception = exceptions.get(entry.id);
  if (exception === undefined) return entry;
  return { ...entry, expected: { ...entry.expected, ...exception.instead } };
}
