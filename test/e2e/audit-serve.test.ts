import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { text as readText } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { expect, inject, test } from "vitest";
import { auditFile, callIds, parseAudit, readAudit } from "../support/audit-records.ts";
import { startHttpLedger, type HttpLedger } from "../support/ledger-backend.ts";
import { waitFor } from "../support/quiescence.ts";
import { openRawSession } from "../support/raw-client.ts";
import { startVmcp } from "../support/vmcp-process.ts";
import { call, startHanging } from "./knobs/knob-gateway.ts";

const BIN = fileURLToPath(new URL("../../dist/cli/bin.js", import.meta.url));

function configOf(backend: HttpLedger, audit: object, drainDeadline = "5s"): object {
  return {
    backends: [{ name: "b1", url: backend.url }],
    aggregation: { conflictResolution: "prefixOnConflict" },
    operational: {
      sessionManagementV2: true,
      sessions: { drainDeadline, shutdownGrace: "0s" },
    },
    audit: { enabled: true, ...audit },
  };
}

test("after SIGKILL every call has its beginning on record, and all but those in flight their end [I13]", async () => {
  const logFile = auditFile();
  await using backend = await startHttpLedger();
  await using vmcp = await startVmcp({ config: configOf(backend, { logFile }) });
  const session = await openRawSession(vmcp.url);
  for (const nonce of ["a", "b", "c"]) {
    // One after the other: each has to be over before the end.
    // oxlint-disable-next-line no-await-in-loop
    await call(session, "nonce", { nonce });
  }
  await startHanging(session, backend);
  await startHanging(session, backend);

  await vmcp.stop("SIGKILL");

  const records = readAudit(logFile);
  const starts = callIds(records, "start");
  expect(starts).toHaveLength(backend.ledger.calls.length);
  expect(callIds(records, "end")).toEqual(starts.slice(0, 3));
  expect(records.map(({ type }) => type)).not.toContain("gateway_stopped");
});

test("after SIGTERM nothing is missing: calls that were cut short have their end on record [I13]", async () => {
  const logFile = auditFile();
  await using backend = await startHttpLedger();
  await using vmcp = await startVmcp({ config: configOf(backend, { logFile }, "50ms") });
  const session = await openRawSession(vmcp.url);
  await call(session, "echo", { text: "x" });
  await startHanging(session, backend);

  const { code } = await vmcp.stop("SIGTERM");

  const records = readAudit(logFile);
  expect(code).toBe(0);
  expect(callIds(records, "start")).toHaveLength(2);
  expect(callIds(records, "end")).toEqual(callIds(records, "start"));
  expect(records.at(-3)).toMatchObject({
    outcome: "failure",
    metadata: { extra: { error_kind: "shutting_down", execution_state: "unknown" } },
  });
  expect(records.slice(-2)).toMatchObject([
    { type: "session_terminated", data: { cause: "shutdown" } },
    { type: "gateway_stopped" },
  ]);
});

test("without a file, records are lines of standard output", async () => {
  await using backend = await startHttpLedger();
  await using vmcp = await startVmcp({ config: configOf(backend, {}) });
  const session = await openRawSession(vmcp.url);

  await call(session, "echo", { text: "x" });

  await waitFor(() => vmcp.stdout.includes('"phase":"end"'));
  const lines = vmcp.stdout.split("\n").filter((line) => line.startsWith('{"metadata"'));
  expect(parseAudit(lines.join("\n"))[0]).toMatchObject({ type: "gateway_started" });
});

test("with --stdio, records leave standard output to the protocol", async () => {
  expect(inject("buildFailure")).toBeFalsy();
  await using backend = await startHttpLedger();
  const file = join(dirname(auditFile()), "vmcp.yaml");
  writeFileSync(file, stringify(configOf(backend, {})));
  const child = spawn(process.execPath, [BIN, "serve", file, "--stdio"], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  const errors = readText(child.stderr);
  const answers = createInterface(child.stdout)[Symbol.asyncIterator]();
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "c" } };

  child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params })}\n`);
  const { value: answer } = await answers.next();
  child.stdin.end();
  const [code] = await once(child, "close");

  expect(JSON.parse(String(answer))).toMatchObject({ id: 1, result: {} });
  expect((await answers.next()).done).toBe(true);
  expect(code).toBe(0);
  const records = parseAudit(
    (await errors)
      .split("\n")
      .filter((line) => line.startsWith('{"metadata"'))
      .join("\n"),
  );
  expect(records.map(({ type }) => type)).toEqual([
    "gateway_started",
    "backend_client_initialized",
    "session_created",
    "mcp_initialize",
    "session_terminated",
    "gateway_stopped",
  ]);
  expect(records[3]?.source).toMatchObject({ type: "local" });
});

test("a relative logFile is found from the folder of the configuration", async () => {
  await using backend = await startHttpLedger();
  await using vmcp = await startVmcp({ config: configOf(backend, { logFile: "audit.log" }) });

  const text = readFileSync(join(vmcp.folder, "audit.log"), "utf8");

  expect(parseAudit(text)).toMatchObject([{ type: "gateway_started", component: "vmcp" }]);
});
