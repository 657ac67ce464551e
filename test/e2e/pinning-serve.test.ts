import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { stringify } from "yaml";
import { auditFile, readAudit } from "../support/audit-records.ts";
import { startHttpLedger } from "../support/ledger-backend.ts";
import { lockBackends } from "../support/lock-files.ts";
import { waitFor } from "../support/quiescence.ts";
import { openRawSession } from "../support/raw-client.ts";
import { runVmcp, startVmcp } from "../support/vmcp-process.ts";
import { call, toolEntry, toolNamesOf } from "./knobs/knob-gateway.ts";

const READ = toolEntry("read", { description: "Reads" });
const OTHER_READ = toolEntry("read", { description: "Reads, and sends" });

test("what is locked again while the gateway runs is offered in sessions that live [rug pull]", async () => {
  await using backend = await startHttpLedger({ hasBuiltInTools: false, tools: [READ] });
  const lock = join(auditFile(), "..", "vmcp.lock.json");
  await lockBackends(lock, { b1: backend });
  backend.change({ tools: [OTHER_READ] });
  await using vmcp = await startVmcp({
    config: {
      backends: [{ name: "b1", url: backend.url }],
      aggregation: { conflictResolution: "prefixOnConflict" },
      operational: { sessionManagementV2: true },
      pinning: "quarantine",
      lockFile: lock,
    },
  });
  await waitFor(() => /^ready$/m.test(vmcp.stdout));
  const session = await openRawSession(vmcp.url);
  const before = await toolNamesOf(session);
  const refused = await call(session, "read");

  await lockBackends(lock, { b1: backend });
  await waitFor(async () => (await toolNamesOf(session)).length === 1);

  expect(before).toEqual([]);
  expect(refused.error?.message).toContain("withheld");
  expect(vmcp.stdout).toContain("lockFile");
  expect(vmcp.stderr).toContain("a definition differs from the lock file");
});

test("a gateway that is to pin does not start without its lock file", async () => {
  const folder = join(auditFile(), "..");
  const config = { backends: [{ name: "b1", url: "http://127.0.0.1:1/mcp" }], pinning: "warn" };
  writeFileSync(join(folder, "vmcp.yaml"), stringify(config));

  const { code, stderr } = await runVmcp(["serve", "--port", "0"], { folder });

  expect(code).toBe(78);
  expect(stderr).toMatch(
    /The lock file \S+vmcp\.lock\.json does not exist: write it with `vmcp lock`/,
  );
});

test.for([[[]], [["--workers", "2"]]] as const)(
  "a file that cannot be read again has its record, serving with %j",
  async ([args]) => {
    const logFile = auditFile();
    await using backend = await startHttpLedger();
    await using vmcp = await startVmcp({
      config: {
        backends: [{ name: "b1", url: backend.url }],
        operational: { sessionManagementV2: true },
        audit: { enabled: true, logFile },
      },
      args,
    });
    await waitFor(() => /^ready$/m.test(vmcp.stdout));

    writeFileSync(vmcp.configFile ?? "", "backends: [");
    await waitFor(() => readAudit(logFile).some(({ type }) => type === "config_reload"));

    const records = readAudit(logFile).filter(({ type }) => type === "config_reload");
    expect(records[0]).toMatchObject({
      outcome: "failure",
      metadata: { extra: { error_kind: "invalid_config" } },
    });
  },
);
