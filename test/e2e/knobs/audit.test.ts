import process from "node:process";
import { expect, test } from "vitest";
import type { VmcpConfigInput } from "../../../src/config/load-config.ts";
import { auditFile, readAudit, type AuditRecord } from "../../support/audit-records.ts";
import { startHttpLedger } from "../../support/ledger-backend.ts";
import { openRawSession } from "../../support/raw-client.ts";
import { call, startKnobs, toolEntry } from "./knob-gateway.ts";

type AuditInput = NonNullable<VmcpConfigInput["audit"]>;

const BACKEND = {
  hasBuiltInTools: false,
  tools: [toolEntry("find")],
  results: new Map([["find", '{"isError":true,"content":[{"type":"text","text":"none"}]}']]),
};

/** What is recorded of one session that calls one tool, whose result says `isError`. */
async function recordsWith(audit: AuditInput): Promise<readonly AuditRecord[]> {
  const logFile = auditFile();
  await callOnce({ logFile, ...audit });
  return readAudit(logFile);
}

async function callOnce(audit: AuditInput): Promise<void> {
  await using backend = await startHttpLedger(BACKEND);
  const backends = [{ name: "b1", url: backend.url }];
  await using gateway = await startKnobs({ backends, audit });
  const session = await openRawSession(gateway.url);
  const { result } = await call(session, "find", { query: "needle" });
  if (result === undefined) throw new Error("the call was not answered");
  await session.delete();
}

function callsIn(records: readonly AuditRecord[]): readonly AuditRecord[] {
  return records.filter(({ type }) => type === "mcp_tool_call");
}

test("audit.enabled: is what records are written for", async () => {
  const records = await recordsWith({ enabled: true });

  expect(records.map(({ type }) => type)).toEqual([
    "gateway_started",
    "backend_client_initialized",
    "session_created",
    "mcp_initialize",
    "mcp_tool_call",
    "mcp_tool_call",
    "session_terminated",
    "gateway_stopped",
  ]);
  expect(await recordsWith({ enabled: false })).toEqual([]);
});

test("audit.component: is who the records are of, and else the gateway's name", async () => {
  const usual = await recordsWith({ enabled: true });
  const named = await recordsWith({ enabled: true, component: "edge" });

  expect(usual.every(({ component }) => component === "vmcp")).toBe(true);
  expect(named.every(({ component }) => component === "edge")).toBe(true);
});

test("audit.eventTypes: are the only ones recorded", async () => {
  const records = await recordsWith({ enabled: true, eventTypes: ["session_created"] });

  expect(records.map(({ type }) => type)).toEqual(["session_created"]);
});

test("audit.excludeEventTypes: are not recorded", async () => {
  const records = await recordsWith({
    enabled: true,
    eventTypes: ["session_created", "mcp_tool_call"],
    excludeEventTypes: ["mcp_tool_call"],
  });

  expect(records.map(({ type }) => type)).toEqual(["session_created"]);
});

test("audit.includeRequestData: puts arguments into the record of a call", async () => {
  const usual = callsIn(await recordsWith({ enabled: true }));
  const whole = callsIn(await recordsWith({ enabled: true, includeRequestData: true }));

  expect(JSON.stringify(usual)).not.toContain("needle");
  expect(whole[0]?.data).toEqual({ request: { arguments: { query: "needle" } } });
});

test("audit.includeResponseData: puts results into the record of a call", async () => {
  const usual = callsIn(await recordsWith({ enabled: true }));
  const whole = callsIn(await recordsWith({ enabled: true, includeResponseData: true }));

  expect(usual[1]?.data).toBeUndefined();
  expect(whole[1]?.data).toMatchObject({ response: { content: [{ text: "none" }] } });
});

test("audit.detectApplicationErrors: tells a result that says isError from others", async () => {
  const usual = callsIn(await recordsWith({ enabled: true }));
  const blind = callsIn(await recordsWith({ enabled: true, detectApplicationErrors: false }));

  expect(usual[1]?.outcome).toBe("application_error");
  expect(blind[1]?.outcome).toBe("success");
});

test("audit.maxDataSize: is as much as a record shows of a request", async () => {
  const audit = { enabled: true, includeRequestData: true };

  const [start] = callsIn(await recordsWith({ ...audit, maxDataSize: 12 }));

  expect(start?.data).toEqual({ request: '{"arguments"' });
});

test("audit.logFile: is where the records are", async () => {
  const logFile = auditFile();

  await callOnce({ enabled: true, logFile });

  expect(readAudit(logFile)).not.toEqual([]);
});

// Elsewhere there is no file that is always full.
const HAS_FULL_FILE = process.platform === "linux";

test.runIf(HAS_FULL_FILE)(
  "audit.onFailure: deny refuses sessions while nothing can be written",
  async () => {
    const opened = callOnce({ enabled: true, logFile: "/dev/full" });

    await expect(opened).rejects.toThrow("no session: 503");
  },
);

test.runIf(HAS_FULL_FILE)(
  "audit.onFailure: allow lets calls through while nothing can be written",
  async () => {
    const called = callOnce({ enabled: true, logFile: "/dev/full", onFailure: "allow" });

    await expect(called).resolves.toBeUndefined();
  },
);
