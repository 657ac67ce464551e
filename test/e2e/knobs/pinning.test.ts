import { expect, test } from "vitest";
import type { VmcpConfigInput } from "../../../src/config/load-config.ts";
import { startHttpLedger, type HttpLedger } from "../../support/ledger-backend.ts";
import { lockBackends, lockFile } from "../../support/lock-files.ts";
import { openRawSession } from "../../support/raw-client.ts";
import { startKnobs, statusOf, toolEntry, toolNamesOf } from "./knob-gateway.ts";

async function startBackend(): Promise<HttpLedger> {
  return startHttpLedger({
    hasBuiltInTools: false,
    tools: [toolEntry("kept"), toolEntry("swapped")],
  });
}

/** What clients see, and how many definitions are not as they were locked, once `swapped` is another tool. */
async function seenWith(
  config: (path: string, url: string) => VmcpConfigInput,
): Promise<readonly unknown[]> {
  const path = lockFile();
  await using backend = await startBackend();
  await lockBackends(path, { b1: backend });
  backend.change({ tools: [toolEntry("kept"), toolEntry("swapped", { title: "Other" })] });
  await using gateway = await startKnobs(config(path, backend.url));
  const session = await openRawSession(gateway.url);
  const names = await toolNamesOf(session);
  const { pinning } = await statusOf(gateway);
  return [names, pinning];
}

test("pinning: says what becomes of a definition that is not as it was locked", async () => {
  const withMode = async (pinning: "off" | "warn" | "quarantine"): Promise<readonly unknown[]> =>
    seenWith((path, url) => ({ backends: [{ name: "b1", url }], pinning, lockFile: path }));

  expect(await withMode("off")).toEqual([["kept", "swapped"], undefined]);
  expect(await withMode("warn")).toEqual([
    ["kept", "swapped"],
    expect.objectContaining({ mismatches: 1, withheld: 0 }),
  ]);
  expect(await withMode("quarantine")).toEqual([
    ["kept"],
    expect.objectContaining({ mismatches: 1, withheld: 1 }),
  ]);
});

test("backends[].pinning: goes before what holds for all", async () => {
  const seen = await seenWith((path, url) => ({
    backends: [{ name: "b1", url, pinning: "off" }],
    pinning: "quarantine",
    lockFile: path,
  }));

  expect(seen[0]).toEqual(["kept", "swapped"]);
});

test("lockFile: is what backends are held to", async () => {
  const other = lockFile();
  await using backend = await startHttpLedger({ hasBuiltInTools: false, tools: [] });
  await lockBackends(other, { b1: backend });

  const seen = await seenWith((_path, url) => ({
    backends: [{ name: "b1", url }],
    pinning: "quarantine",
    lockFile: other,
  }));

  expect(seen[0]).toEqual([]);
});
