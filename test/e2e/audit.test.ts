import { mkdirSync, renameSync, rmdirSync } from "node:fs";
import process from "node:process";
import { describe, expect, test } from "vitest";
import { auditFile, callIds, readAudit, type AuditRecord } from "../support/audit-records.ts";
import { startHttpLedger } from "../support/ledger-backend.ts";
import { waitFor } from "../support/quiescence.ts";
import { openRawSession, postMessage, sendRaw } from "../support/raw-client.ts";
import {
  ask,
  call,
  INITIALIZE,
  postCall,
  startHanging,
  startKnobs,
  statusOf,
} from "./knobs/knob-gateway.ts";

const NOWHERE = { name: "down", url: "http://127.0.0.1:1/mcp" };

function ofType(records: readonly AuditRecord[], type: string): readonly AuditRecord[] {
  return records.filter((record) => record.type === type);
}

describe("what is recorded", () => {
  test("of a session: which backends it got, and what ended it [R29]", async () => {
    const logFile = auditFile();
    await using backend = await startHttpLedger();
    await using gateway = await startKnobs({
      backends: [{ name: "up", url: backend.url }, NOWHERE],
      audit: { enabled: true, logFile },
    });

    const session = await openRawSession(gateway.url);
    await session.delete();

    const records = readAudit(logFile);
    expect(ofType(records, "session_created")).toMatchObject([
      {
        outcome: "success",
        source: { type: "network", value: "127.0.0.1" },
        subjects: { user: "anonymous", client_name: "raw-client", client_version: "1.0.0" },
        data: {
          backends_initialized: 1,
          backends_failed: 1,
          backend_ids: ["up"],
          failed_backends: ["down"],
        },
      },
    ]);
    expect(
      ofType(records, "backend_client_initialized").map(({ target, outcome }) => [
        target?.["name"],
        outcome,
      ]),
    ).toEqual(
      expect.arrayContaining([
        ["up", "success"],
        ["down", "failure"],
      ]),
    );
    expect(ofType(records, "session_terminated")).toMatchObject([{ data: { cause: "client" } }]);
    const ofClient = records.filter(({ type }) => type !== "gateway_started");
    expect(new Set(ofClient.map(({ source }) => JSON.stringify(source))).size).toBe(1);
    expect(JSON.stringify(records)).not.toContain(session.id);
  });

  test("of calls, reads and prompts: a beginning and an end each, with the backend", async () => {
    const logFile = auditFile();
    await using backend = await startHttpLedger({
      resources: ['{"uri":"x://r","name":"r"}'],
      prompts: ['{"name":"greet"}'],
    });
    await using gateway = await startKnobs({
      backends: [{ name: "b1", url: backend.url }],
      audit: { enabled: true, logFile },
    });
    const session = await openRawSession(gateway.url);

    await call(session, "echo", { text: "hi" });
    await ask(session, "resources/read", { uri: "x://r" });
    await ask(session, "prompts/get", { name: "greet" });
    await ask(session, "tools/list");

    const records = readAudit(logFile);
    const types = ["mcp_tool_call", "mcp_resource_read", "mcp_prompt_get"];
    for (const type of types) {
      expect(ofType(records, type)).toMatchObject([
        { outcome: "pending" },
        { outcome: "success", metadata: { extra: { backend: "b1" } } },
      ]);
    }
    expect(ofType(records, "mcp_resource_read")[0]?.target).toMatchObject({ uri: "x://r" });
    expect(ofType(records, "mcp_tools_list")).toMatchObject([{ outcome: "success" }]);
  });

  test("of a client for which there is no room: that it was refused", async () => {
    const logFile = auditFile();
    await using gateway = await startKnobs({
      backends: [NOWHERE],
      operational: { sessions: { maxSessions: 1 } },
      audit: { enabled: true, logFile },
    });
    await openRawSession(gateway.url);

    const { status } = await postMessage(gateway.url, INITIALIZE);

    expect(status).toBe(503);
    const records = readAudit(logFile);
    expect(ofType(records, "session_refused")).toMatchObject([{ outcome: "denied" }]);
    expect(ofType(records, "mcp_initialize").map(({ outcome }) => outcome)).toEqual([
      "success",
      "denied",
    ]);
  });

  test("of requests from a foreign page: that they were denied, and not every one of a flood", async () => {
    const logFile = auditFile();
    await using gateway = await startKnobs({
      backends: [NOWHERE],
      audit: { enabled: true, logFile },
    });
    const origin = "https://evil.example";

    const first = await postMessage(gateway.url, INITIALIZE, { origin });
    await Promise.all(
      Array.from({ length: 30 }, async () => postMessage(gateway.url, INITIALIZE, { origin })),
    );

    const denied = ofType(readAudit(logFile), "request_denied");
    expect(first.status).toBe(403);
    expect(denied[0]).toMatchObject({
      outcome: "denied",
      source: { type: "network", value: "127.0.0.1" },
      metadata: { extra: { error_kind: "forbidden_host" } },
    });
    expect(denied.length).toBeLessThan(31);
    expect(JSON.stringify(denied)).not.toContain("evil");
  });

  test("of a reload: what changed, or that it was refused", async () => {
    const logFile = auditFile();
    const config = { backends: [NOWHERE], audit: { enabled: true, logFile } };
    await using gateway = await startKnobs(config);
    const added = { name: "more", url: "http://127.0.0.1:1/mcp?key=CANARY" };

    await gateway.vmcp.reload({ ...config, backends: [NOWHERE, added] });
    await gateway.vmcp.reload({ backends: [] }).catch(() => {});

    const reloads = ofType(readAudit(logFile), "config_reload");
    expect(reloads).toMatchObject([
      {
        outcome: "success",
        data: { generation: 2, changes: expect.arrayContaining(["backend_added more"]) },
      },
      { outcome: "failure" },
    ]);
    expect(JSON.stringify(reloads)).not.toContain("CANARY");
  });

  test("of a session opened by code of this process", async () => {
    const logFile = auditFile();
    await using backend = await startHttpLedger();
    await using gateway = await startKnobs({
      backends: [{ name: "b1", url: backend.url }],
      audit: { enabled: true, logFile },
    });

    const session = await gateway.vmcp.openSession();
    await session.callTool("echo", { text: "hi" });

    const records = readAudit(logFile);
    expect(ofType(records, "mcp_tool_call")).toHaveLength(2);
    expect(records.every(({ source }) => source.type === "local")).toBe(true);
  });
});

test("each call has one beginning and one end on record, however it ends [I13]", async () => {
  const logFile = auditFile();
  await using backend = await startHttpLedger();
  {
    await using gateway = await startKnobs({
      backends: [{ name: "b1", url: backend.url }],
      limits: { callsPerSession: 100 },
      audit: { enabled: true, logFile },
    });
    const sessions = await Promise.all(
      Array.from({ length: 4 }, async () => openRawSession(gateway.url)),
    );
    const answers = sessions.flatMap((session) => [
      ...Array.from({ length: 10 }, async () => call(session, "echo", { text: "x" })),
      call(session, "unknown"),
      session.post('{"jsonrpc":"2.0","id":"c","method":"tools/call","params":{"name":"hang"}}'),
    ]);
    await waitFor(() => backend.ledger.calls.filter(({ tool }) => tool === "hang").length === 4);
    const [first] = sessions;
    await first?.post(
      '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"c"}}',
    );
    await first?.delete();
    // The others are cut when the gateway closes.
    void Promise.allSettled(answers);
    await Promise.all(answers.filter((_end, index) => index % 12 < 11));
  }

  const records = readAudit(logFile);
  const starts = callIds(records, "start");
  expect(starts).toHaveLength(48);
  expect(new Set(starts).size).toBe(48);
  const ends = callIds(records, "end");
  expect(ends).toHaveLength(48);
  expect(new Set(ends)).toEqual(new Set(starts));
  const ids = records.map(({ metadata }) => metadata.auditId);
  expect(new Set(ids).size).toBe(ids.length);
});

describe("a log that cannot be written", () => {
  test("refuses calls before anything is sent, says so, and recovers by itself [F36]", async () => {
    const logFile = auditFile();
    await using backend = await startHttpLedger();
    await using gateway = await startKnobs({
      backends: [{ name: "b1", url: backend.url }],
      audit: { enabled: true, logFile },
    });
    await gateway.vmcp.probed();
    const session = await openRawSession(gateway.url);
    renameSync(logFile, `${logFile}.1`);
    mkdirSync(logFile);
    // The file is looked for no more than once a second.
    await waitFor(async () => (await postCall(session, "echo")).status === 503);
    const before = backend.ledger.calls.length;

    const refused = await session.post(
      '{"jsonrpc":"2.0","id":"r","method":"tools/call","params":{"name":"echo"}}',
    );
    const ready = await sendRaw(new URL("/readyz", gateway.url).href);

    expect(refused.status).toBe(503);
    expect(refused.headers["retry-after"]).toMatch(/^\d+$/);
    expect(JSON.parse(refused.text)).toMatchObject({
      id: "r",
      error: {
        code: 503,
        data: { kind: "store_unavailable", executionState: "not_executed" },
      },
    });
    expect(refused.text).not.toContain(logFile);
    expect(backend.ledger.calls).toHaveLength(before);
    expect([ready.status, JSON.parse(ready.text)]).toEqual([
      503,
      { ready: false, audit: "failing" },
    ]);
    expect(await statusOf(gateway)).toMatchObject({
      audit: { state: "failing", reason: "EISDIR" },
    });

    rmdirSync(logFile);
    await waitFor(async () => (await sendRaw(new URL("/readyz", gateway.url).href)).status === 200);

    expect((await postCall(session, "echo")).status).toBe(200);
    expect(await statusOf(gateway)).toMatchObject({ audit: { state: "writing", lost: 0 } });
    const records = readAudit(logFile);
    // Before it stands the end of a call, where that is what could not be written first.
    const [resumed, ...after] = records.slice(
      records.findIndex(({ type }) => type === "audit_resumed"),
    );
    expect(resumed).toMatchObject({ type: "audit_resumed", data: { reason: "EISDIR", lost: 0 } });
    expect(resumed?.data?.["refused"]).toBeGreaterThanOrEqual(2);
    expect(after.map(({ outcome }) => outcome)).toEqual(["pending", "success"]);
  });

  // Elsewhere there is no file that is always full.
  test.runIf(process.platform === "linux")(
    "is found out at the start: a full disk makes the gateway unready [F36]",
    async () => {
      await using backend = await startHttpLedger();
      await using gateway = await startKnobs({
        backends: [{ name: "b1", url: backend.url }],
        audit: { enabled: true, logFile: "/dev/full" },
      });
      await gateway.vmcp.probed();

      const { status } = await postMessage(gateway.url, INITIALIZE);
      const ready = await sendRaw(new URL("/readyz", gateway.url).href);

      expect([status, ready.status]).toEqual([503, 503]);
      expect(backend.sessions).toEqual([]);
    },
  );

  test.runIf(process.platform === "linux")(
    "lets calls through where that is allowed, counts what is lost and says so [F36]",
    async () => {
      await using backend = await startHttpLedger();
      await using gateway = await startKnobs({
        backends: [{ name: "b1", url: backend.url }],
        audit: { enabled: true, logFile: "/dev/full", onFailure: "allow" },
      });
      await gateway.vmcp.probed();
      const session = await openRawSession(gateway.url);

      const { status } = await postCall(session, "echo");
      const ready = await sendRaw(new URL("/readyz", gateway.url).href);

      expect(status).toBe(200);
      expect([ready.status, JSON.parse(ready.text)]).toEqual([
        200,
        { ready: true, audit: "failing" },
      ]);
      expect(await statusOf(gateway)).toMatchObject({
        audit: { state: "failing", onFailure: "allow", refused: 0 },
      });
    },
  );
});

test("what a call is told by its end is on record before the client has it", async () => {
  const logFile = auditFile();
  await using backend = await startHttpLedger();
  await using gateway = await startKnobs({
    backends: [{ name: "b1", url: backend.url }],
    audit: { enabled: true, logFile },
  });
  const session = await openRawSession(gateway.url);
  await startHanging(session, backend);

  const atStart = readAudit(logFile);
  await call(session, "echo");

  expect(callIds(atStart, "start")).toHaveLength(1);
  expect(callIds(atStart, "end")).toHaveLength(0);
  expect(callIds(readAudit(logFile), "end")).toHaveLength(1);
});
