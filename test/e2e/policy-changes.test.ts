import { describe, expect, test } from "vitest";
import type { VmcpConfigInput } from "../../src/config/load-config.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import type { EdgeSession } from "../../src/session/edge-session.ts";
import { auditFile, readAudit, type AuditRecord } from "../support/audit-records.ts";
import { startHttpLedger } from "../support/ledger-backend.ts";
import { waitFor } from "../support/quiescence.ts";
import { inboundRequest } from "../support/sessions.ts";
import { startTaskBackend, taskOf } from "./task-backends.ts";
import { postCall, startKnobs, toolNamesOf } from "./knobs/knob-gateway.ts";
import {
  PERMIT_ALL,
  ADMIN_ONLY,
  UNKNOWN,
  SAME,
  script,
  withPolicies,
  startPoliced,
  openAs,
  post,
  verified,
} from "./policy-rig.ts";

let asked = 0;

describe("a reload", () => {
  test("takes effect with the next request, and who sees other lists now is told so", async () => {
    await using backend = await startHttpLedger(script());
    const backends = [{ name: "b1", url: backend.url }];
    await using gateway = await startPoliced(backend, [PERMIT_ALL]);
    const [alice, bob] = [await openAs(gateway, "alice"), await openAs(gateway, "bob")];
    const [ofAlice, ofBob] = [await alice.openStream(), await bob.openStream()];
    expect((await postCall(bob, "drop")).status).toBe(200);

    const report = await gateway.vmcp.reload({
      ...SAME,
      backends,
      ...withPolicies([PERMIT_ALL, ADMIN_ONLY]),
    });

    expect(report.changes).toEqual([{ kind: "setting_changed", path: "incomingAuth.authz" }]);
    expect(await postCall(bob, "drop")).toMatchObject(UNKNOWN);
    expect((await postCall(alice, "drop")).status).toBe(200);
    expect(await toolNamesOf(bob)).toEqual(["read"]);
    await waitFor(() => ofBob.events.length > 0, { what: "bob is told" });
    expect(ofBob.events.map((text) => (JSON.parse(text) as JsonObject)["method"])).toEqual([
      "notifications/tools/list_changed",
    ]);
    expect(ofAlice.events).toEqual([]);
    ofAlice.destroy();
    ofBob.destroy();
  });

  test("ends what was subscribed to and may not be read any more", async () => {
    await using backend = await startHttpLedger(script());
    const backends = [{ name: "b1", url: backend.url }];
    await using gateway = await startPoliced(backend, [PERMIT_ALL]);
    const bob = await openAs(gateway, "bob");
    const stream = await bob.openStream();
    for (const uri of ["docs://open", "docs://shut"]) {
      // One after the other, as a client would.
      // oxlint-disable-next-line no-await-in-loop
      expect((await post(bob, "resources/subscribe", { uri })).status).toBe(200);
    }
    await waitFor(() => backend.resourceUpdated("docs://shut") > 0, {
      what: "the backend is heard",
    });
    await waitFor(() => stream.events.length > 0, { what: "bob hears of it" });
    const before = stream.events.length;

    await gateway.vmcp.reload({
      ...SAME,
      backends,
      ...withPolicies([
        PERMIT_ALL,
        'forbid(principal, action, resource) when { resource.name == "docs://shut" };',
      ]),
    });
    backend.resourceUpdated("docs://shut");
    backend.resourceUpdated("docs://open");

    await waitFor(() => stream.events.some((text) => text.includes("docs://open")), {
      what: "bob hears of the other",
    });
    expect(stream.events.slice(before).filter((text) => text.includes("docs://shut"))).toEqual([]);
    stream.destroy();
  });

  test("with a policy that cannot be read changes nothing", async () => {
    await using backend = await startHttpLedger(script());
    await using gateway = await startPoliced(backend, [PERMIT_ALL, ADMIN_ONLY]);
    const bob = await openAs(gateway, "bob");

    await expect(
      gateway.vmcp.reload({
        backends: [{ name: "b1", url: backend.url }],
        ...withPolicies([PERMIT_ALL, "permit(principal, action);"]),
      }),
    ).rejects.toMatchObject({
      problems: [
        { path: "incomingAuth.authz.policies[1]", message: expect.stringContaining("line 1") },
      ],
    });

    expect(await postCall(bob, "drop")).toMatchObject(UNKNOWN);
    expect((await postCall(bob, "read")).status).toBe(200);
  });

  test("a name that a session was given earlier does not escape what is forbidden of the present one", async () => {
    await using backend = await startHttpLedger(script());
    const config = (prefix: string, policies: readonly string[]): VmcpConfigInput => ({
      backends: [{ name: "b1", url: backend.url }],
      aggregation: {
        conflictResolution: "prefix",
        conflictResolutionConfig: { prefixFormat: prefix },
      },
      ...withPolicies(policies),
    });
    await using gateway = await startKnobs(config("old_", [PERMIT_ALL]));
    const session = await gateway.vmcp.openSession(verified("bob"));
    await session.callTool("old_drop", {});

    const next = config("new_", [
      PERMIT_ALL,
      'forbid(principal, action, resource == Tool::"new_drop");',
    ]);
    await gateway.vmcp.reload({ ...next, operational: { sessionManagementV2: true } });

    await expect(session.callTool("old_drop", {})).rejects.toMatchObject({
      code: "capability_not_found",
    });
    await session.callTool("old_read", {});
  });
});

describe("records", () => {
  test("of a denial say which policy, and not what was sent", async () => {
    const logFile = auditFile();
    await using backend = await startHttpLedger(script());
    await using gateway = await startPoliced(
      backend,
      [
        PERMIT_ALL,
        'forbid(principal, action, resource) when { context has arg_path && context.arg_path like "/etc/*" };',
      ],
      { audit: { enabled: true, logFile } },
    );
    const bob = await openAs(gateway, "bob");

    await postCall(bob, "read", { path: "/etc/CANARY" });

    const ends = readAudit(logFile).filter(isEndOfCall);
    expect(ends).toMatchObject([
      {
        type: "mcp_tool_call",
        outcome: "denied",
        subjects: { user_id: "bob" },
        target: { name: "read" },
        metadata: {
          extra: {
            error_kind: "policy_denied",
            execution_state: "not_executed",
            reason: "forbidden by policies[1]",
          },
        },
      },
    ]);
    expect(JSON.stringify(readAudit(logFile))).not.toContain("CANARY");
  });
});

function isEndOfCall({ metadata, type }: AuditRecord): boolean {
  return type === "mcp_tool_call" && metadata.extra?.["phase"] === "end";
}

describe("a task", () => {
  test("is asked about by whoever may call its tool, and by nobody else [auth A19]", async () => {
    await using backend = await startTaskBackend(
      "task-1",
      new Map([["tasks/get", { result: taskOf("task-1", "completed") }]]),
    );
    await using gateway = await startKnobs({
      backends: [backend.entry("b1")],
      incomingAuth: {
        type: "anonymous",
        authz: {
          type: "cedar",
          policies: ['permit(principal in THVGroup::"ops", action, resource);'],
        },
      },
    });
    const session = await gateway.vmcp.openSession(verified("alice", ["ops"]));
    await answerTo(session, "tools/call", { name: "work", arguments: {}, task: { ttl: 60_000 } });
    const allowed = await answerTo(session, "tasks/get", { taskId: "task-1" });

    session.identify?.(verified("alice"));

    expect(allowed).toMatchObject({ taskId: "task-1" });
    await expect(answerTo(session, "tasks/get", { taskId: "task-1" })).rejects.toMatchObject({
      code: "capability_not_found",
    });
    expect(backend.asked).toHaveLength(1);
  });
});

/** Sends a request as an edge does and returns the result of its answer. */
async function answerTo(
  session: EdgeSession,
  method: string,
  params: JsonObject,
): Promise<unknown> {
  asked += 1;
  const request = inboundRequest(`t${asked}`, method, params);
  return new Promise((resolve, reject) => {
    session.forward(request, {
      event: () => true,
      answer: ({ message }) => resolve(message.result),
      fail: reject,
    });
  });
}
