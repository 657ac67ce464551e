import { describe, expect, test } from "vitest";
import type { VmcpConfigInput } from "../../src/config/load-config.ts";
import { createVmcp } from "../../src/app/create-vmcp.ts";
import { CLIENTS } from "../support/e2e-clients.ts";
import { startGateway } from "../support/gateway.ts";
import { startHttpLedger, type HttpLedger } from "../support/ledger-backend.ts";
import { startStdioLedger } from "../support/ledger-stdio.ts";
import { waitFor } from "../support/quiescence.ts";
import { openRawSession, type RawSession } from "../support/raw-client.ts";

const LIST_CHANGED = "notifications/tools/list_changed";
/** As `startGateway` completes what it is given, so that a reload without changes has none. */
const NAMED: Omit<VmcpConfigInput, "backends"> = {
  aggregation: { conflictResolution: "prefix" },
  server: { port: 0 },
};

describe.each(CLIENTS)("with the client of %s", (_name, connect) => {
  test("a session loses and gains backends while it lives, and keeps those that stay [A23]", async () => {
    await using kept = await startHttpLedger();
    await using old = await startHttpLedger();
    await using fresh = await startHttpLedger();
    await using gateway = await startGateway({
      ...NAMED,
      backends: [at("kept", kept), at("old", old)],
    });
    await gateway.vmcp.probed();
    await using client = await connect(gateway.url);
    await client.call("kept_count");
    await client.call("old_count");
    const { initializeCount } = kept;

    const report = await gateway.vmcp.reload({
      ...NAMED,
      backends: [at("kept", kept), at("fresh", fresh)],
    });
    await waitFor(async () => (await client.toolNames()).includes("fresh_count"));

    expect(report).toMatchObject({ generation: 2, sessions: 1 });
    expect(await client.callText("kept_count")).toBe("2");
    expect(await client.callText("fresh_count")).toBe("1");
    expect(await client.toolNames()).not.toContain("old_count");
    await expect(client.call("old_count")).rejects.toMatchObject({ code: -32_602 });
    expect(client.notifications.map(({ method }) => method)).toContain(LIST_CHANGED);
    expect(kept.initializeCount).toBe(initializeCount);
  });
});

test("the connections to a backend that was removed are closed, sockets included [A23]", async () => {
  await using kept = await startHttpLedger();
  await using old = await startHttpLedger();
  await using gateway = await startGateway({
    ...NAMED,
    backends: [at("kept", kept), at("old", old)],
  });
  await gateway.vmcp.probed();
  const sessions = await Promise.all([1, 2, 3].map(async () => openRawSession(gateway.url)));
  await Promise.all(sessions.map(async (session) => callTool(session, "old_count")));
  expect(old.openSessions).toBeGreaterThanOrEqual(3);

  await gateway.vmcp.reload({ ...NAMED, backends: [at("kept", kept)] });

  await waitFor(() => old.openSessions === 0 && old.sockets === 0);
  expect(new Set(old.ledger.deletes)).toHaveLength(old.initializeCount);
  const requests = old.requests.length;
  await Promise.all(sessions.map(async (session) => callTool(session, "kept_count")));
  expect(old.requests).toHaveLength(requests);
  expect(gateway.vmcp.health().map(({ name }) => name)).toEqual(["kept"]);
});

test("a call in flight at a backend that was removed is finished first [F17]", async () => {
  await using kept = await startHttpLedger();
  await using old = await startHttpLedger();
  await using gateway = await startGateway({
    ...NAMED,
    backends: [at("kept", kept), at("old", old)],
  });
  const session = await openRawSession(gateway.url);
  const call = callTool(session, "old_slow", { ms: 300 });
  await waitFor(() => old.ledger.calls.length === 1);

  await gateway.vmcp.reload({ ...NAMED, backends: [at("kept", kept)] });
  const refused = await callTool(session, "old_count");
  const answer = await call;

  expect(refused).toMatchObject({ error: { code: -32_602 } });
  expect(answer).toMatchObject({ result: { content: expect.anything() } });
  await waitFor(() => old.openSessions === 0 && old.sockets === 0);
});

test("a call that does not end in time is cut, and says that it may have run [F17]", async () => {
  await using kept = await startHttpLedger();
  await using old = await startHttpLedger();
  const operational = { sessionManagementV2: true, sessions: { drainDeadline: "100ms" } };
  await using gateway = await startGateway({
    ...NAMED,
    operational,
    backends: [at("kept", kept), at("old", old)],
  });
  const session = await openRawSession(gateway.url);
  const call = callTool(session, "old_slow", { ms: 60_000 });
  await waitFor(() => old.ledger.calls.length === 1);

  await gateway.vmcp.reload({ ...NAMED, operational, backends: [at("kept", kept)] });

  expect(await call).toMatchObject({
    error: { data: { kind: "backend_closed", backend: "old", executionState: "unknown" } },
  });
  await waitFor(() => old.openSessions === 0 && old.sockets === 0);
});

test("the child of a stdio backend that was removed ends in every session [F17]", async () => {
  await using kept = await startHttpLedger();
  await using stdio = await startStdioLedger();
  const child = { name: "child", command: stdio.command, args: [...stdio.args] };
  await using gateway = await startGateway({ ...NAMED, backends: [at("kept", kept), child] });
  await gateway.vmcp.probed();
  const sessions = await Promise.all([1, 2].map(async () => openRawSession(gateway.url)));
  await Promise.all(sessions.map(async (session) => callTool(session, "child_count")));
  expect(stdio.aliveChildren).toHaveLength(2);

  await gateway.vmcp.reload({ ...NAMED, backends: [at("kept", kept)] });

  await waitFor(() => stdio.aliveChildren.length === 0);
});

test("a backend that moved is another one: its routes go, and come back when it answers [F17]", async () => {
  await using before = await startHttpLedger();
  await using after = await startHttpLedger();
  await using gateway = await startGateway({ ...NAMED, backends: [at("b", before)] });
  const session = await openRawSession(gateway.url);
  await callTool(session, "b_count");

  await gateway.vmcp.reload({ ...NAMED, backends: [at("b", after)] });
  await waitFor(async () => (await toolNames(session)).includes("b_count"));
  const answer = await callTool(session, "b_count");

  expect(answer).toMatchObject({ result: { content: [{ text: "1" }] } });
  await waitFor(() => before.openSessions === 0 && before.sockets === 0);
});

test("a backend with other headers is connected anew, and its tools stay listed meanwhile", async () => {
  await using ledger = await startHttpLedger();
  await using gateway = await startGateway({ ...NAMED, backends: [at("b", ledger)] });
  const session = await openRawSession(gateway.url);
  await callTool(session, "b_count");
  const names = await toolNames(session);

  const report = await gateway.vmcp.reload({
    ...NAMED,
    backends: [{ ...at("b", ledger), headers: { "x-team": "blue" } }],
  });
  const namesAfter = await toolNames(session);
  await callTool(session, "b_count");

  expect(namesAfter).toEqual(names);
  expect(report.changes).toEqual([
    { kind: "backend_changed", backend: "b", fields: ["headers"], connections: "reconnect" },
  ]);
  expect(ledger.ledger.calls.at(-1)?.headers["x-team"]).toBe("blue");
});

test("limits and time limits change without touching a connection", async () => {
  await using ledger = await startHttpLedger();
  await using gateway = await startGateway({ ...NAMED, backends: [at("b", ledger)] });
  await gateway.vmcp.probed();
  const session = await openRawSession(gateway.url);
  await callTool(session, "b_count");
  const initializes = ledger.initializeCount;

  await gateway.vmcp.reload({
    ...NAMED,
    backends: [{ ...at("b", ledger), timeouts: { call: "100ms" } }],
    limits: { callsPerSession: 1 },
  });
  const slow = callTool(session, "b_slow", { ms: 60_000 });
  const second = callTool(session, "b_count");

  expect(await second).toMatchObject({
    error: { message: expect.stringContaining("1 calls in flight") },
  });
  expect(await slow).toMatchObject({ error: { data: { kind: "backend_timeout" } } });
  expect(ledger.initializeCount).toBe(initializes);
});

test("sessions change over to backend sessions per call, and back", async () => {
  await using ledger = await startHttpLedger();
  const withFlag = (sessionManagementV2: boolean): VmcpConfigInput => ({
    ...NAMED,
    operational: { sessionManagementV2 },
    backends: [at("b", ledger)],
  });
  await using gateway = await startGateway(withFlag(true));
  const session = await openRawSession(gateway.url);
  const countTwice = async (): Promise<readonly unknown[]> => [
    await callTool(session, "b_count"),
    await callTool(session, "b_count"),
  ];
  const counted = (text: string) => ({ result: { content: [{ text }] } });

  const before = await countTwice();
  const off = await gateway.vmcp.reload(withFlag(false));
  const perCall = await countTwice();
  await gateway.vmcp.reload(withFlag(true));
  const after = await countTwice();

  expect(off.changes).toMatchObject([
    { kind: "backend_changed", fields: ["isolation"], connections: "reconnect" },
    { kind: "setting_changed", path: "operational.sessionManagementV2" },
  ]);
  expect(before).toMatchObject([counted("1"), counted("2")]);
  expect(perCall).toMatchObject([counted("1"), counted("1")]);
  expect(after).toMatchObject([counted("1"), counted("2")]);
});

test("the number of sessions that there may be changes with the configuration", async () => {
  await using ledger = await startHttpLedger();
  const operational = { sessionManagementV2: true, sessions: { maxSessions: 1 } };
  await using gateway = await startGateway({ ...NAMED, backends: [at("b", ledger)] });
  await openRawSession(gateway.url);

  await gateway.vmcp.reload({ ...NAMED, operational, backends: [at("b", ledger)] });
  const refused = openRawSession(gateway.url);

  await expect(refused).rejects.toThrow("no session: 503");
});

test("what a filter hides is refused from the next request on, and listed again when it no longer does [F32]", async () => {
  await using ledger = await startHttpLedger();
  const config = { backends: [at("b", ledger)] };
  const hiding: VmcpConfigInput = {
    ...NAMED,
    ...config,
    aggregation: { conflictResolution: "prefix", tools: [{ workload: "b", filter: ["echo"] }] },
  };
  await using gateway = await startGateway({ ...NAMED, ...config });
  const session = await openRawSession(gateway.url);
  await callTool(session, "b_count");

  const report = await gateway.vmcp.reload(hiding);
  const hidden = await callTool(session, "b_count");
  const names = await toolNames(session);
  await gateway.vmcp.reload({ ...NAMED, ...config });
  const shown = await callTool(session, "b_count");

  expect(report.tools.removed).toContain("b_count");
  expect(hidden).toMatchObject({ error: { code: -32_602 } });
  expect(names).toEqual(["b_echo"]);
  expect(shown).toMatchObject({ result: { content: [{ text: "2" }] } });
});

test("a configuration that cannot be used changes nothing", async () => {
  await using ledger = await startHttpLedger();
  await using gateway = await startGateway({ ...NAMED, backends: [at("b", ledger)] });
  const session = await openRawSession(gateway.url);

  const wrong = gateway.vmcp.reload({ backends: [{ name: "b", url: "not a url" }] });
  const unreadable = gateway.vmcp.reload({
    backends: [{ name: "b", url: "https://127.0.0.1:1/mcp", caBundlePath: "/no/such/file" }],
  });

  await expect(wrong).rejects.toMatchObject({ problems: [{ path: "backends[0].url" }] });
  await expect(unreadable).rejects.toMatchObject({ code: "invalid_config" });
  expect(await callTool(session, "b_count")).toMatchObject({ result: {} });
});

test("what needs a restart is named and left as it was, and the rest is applied", async () => {
  await using one = await startHttpLedger();
  await using two = await startHttpLedger();
  await using gateway = await startGateway({ ...NAMED, backends: [at("b", one)] });
  const session = await openRawSession(gateway.url);

  const { changes, generation } = await gateway.vmcp.reload({
    ...NAMED,
    limits: { requestBytes: "1MiB" },
    backends: [at("b", one), at("c", two)],
    server: { port: 0, path: "/elsewhere" },
  });

  expect(generation).toBe(2);
  expect(changes).toEqual([
    { kind: "backend_added", backend: "c" },
    { kind: "needs_restart", path: "limits.requestBytes" },
    { kind: "needs_restart", path: "server.path" },
  ]);
  await waitFor(async () => (await toolNames(session)).includes("c_count"));
});

test("the same configuration changes nothing, and the generation stays", async () => {
  await using ledger = await startHttpLedger();
  const config: VmcpConfigInput = { ...NAMED, backends: [at("b", ledger)] };
  await using vmcp = await createVmcp(config);
  await vmcp.openSession();
  const { initializeCount } = ledger;

  const report = await vmcp.reload(config);

  expect(report).toMatchObject({ generation: 1, changes: [], tools: { added: [], removed: [] } });
  expect(ledger.initializeCount).toBe(initializeCount);
});

test("an embedded gateway is reloaded with an object, whose references find the variables it was made with", async () => {
  await using ledger = await startHttpLedger();
  await using vmcp = await createVmcp({ backends: [at("b", ledger)] }, { env: { TEAM: "blue" } });
  const session = await vmcp.openSession();

  await vmcp.reload({ backends: [{ ...at("b", ledger), headers: { "x-team": "${env:TEAM}" } }] });
  await session.callTool("b_count", {});

  expect(ledger.ledger.calls.at(-1)?.headers["x-team"]).toBe("blue");
});

test("a gateway that is closing is not reloaded", async () => {
  await using ledger = await startHttpLedger();
  const vmcp = await createVmcp({ backends: [at("b", ledger)] });
  await vmcp.close();

  await expect(vmcp.reload({ backends: [at("c", ledger)] })).rejects.toMatchObject({
    code: "shutting_down",
  });
});

function at(name: string, { url }: HttpLedger) {
  return { name, url };
}

async function callTool(session: RawSession, name: string, args = {}): Promise<unknown> {
  return session.request("tools/call", { name, arguments: args });
}

async function toolNames(session: RawSession): Promise<readonly string[]> {
  const answer = await session.request("tools/list");
  // The shape that a list has.
  const { result } = answer as { result: { tools: readonly { name: string }[] } };
  return result.tools.map(({ name }) => name);
}
