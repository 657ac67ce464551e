import { describe, expect, onTestFinished, test } from "vitest";
import { AUDIT_EVENT_TYPES } from "../domain/audit-event-types.ts";
import { VmcpError } from "../domain/errors.ts";
import { ANONYMOUS } from "../domain/identity.ts";
import { SILENT_LOGGER } from "../domain/logger.ts";
import { AuditLog } from "./audit-log.ts";
import { AuditTrail, type AuditOptions } from "./audit-trail.ts";
import { toParty } from "./audited-party.ts";
import { scriptedFile, type ScriptedFile } from "./testing/scripted-file.ts";

interface Record {
  readonly type: string;
  readonly outcome: string;
  readonly metadata: {
    readonly auditId: string;
    readonly extra: { readonly [key: string]: unknown };
  };
  readonly target: unknown;
  readonly data?: unknown;
}

interface Rig {
  readonly trail: AuditTrail;
  readonly file: ScriptedFile;
  readonly log: AuditLog;
  readonly records: () => readonly Record[];
}

function createRig(options: Partial<AuditOptions> = {}, room?: number): Rig {
  const file = scriptedFile(room);
  const log = new AuditLog({
    file,
    logger: SILENT_LOGGER,
    resumed: AuditTrail.resumed("edge"),
  });
  onTestFinished(() => log[Symbol.dispose]());
  const trail = new AuditTrail(
    {
      component: "edge",
      eventTypes: [],
      excludeEventTypes: [],
      includeRequestData: false,
      includeResponseData: false,
      detectApplicationErrors: true,
      maxDataSize: 1024,
      onFailure: "deny",
      ...options,
    },
    log,
  );
  const records = (): readonly Record[] =>
    file.text
      .split("\n")
      .filter((line) => line !== "")
      // Whatever the trail writes is a record.
      .map((line) => JSON.parse(line) as Record);
  return { trail, file, log, records };
}

const PARTY = toParty({ sessionId: "secret-session", identity: ANONYMOUS });
const CALL = { method: "tools/call", params: { name: "delete", arguments: { password: "x" } } };

function answer(message: object): { readonly bytes: Buffer; readonly message: object } {
  return { bytes: Buffer.from(JSON.stringify(message)), message };
}

describe("a call", () => {
  test("is on record before it is sent, and once more when it has ended [I13]", () => {
    const { trail, records } = createRig();

    const call = trail.callBegins(PARTY, CALL);
    const atStart = records();
    call?.answered(answer({ result: { content: [] } }), "b1");

    expect(atStart).toMatchObject([
      { type: "mcp_tool_call", outcome: "pending", metadata: { extra: { phase: "start" } } },
    ]);
    const callId = atStart[0]?.metadata.auditId;
    expect(records().slice(1)).toMatchObject([
      {
        type: "mcp_tool_call",
        outcome: "success",
        metadata: { extra: { phase: "end", call_id: callId, backend: "b1" } },
        target: { type: "tool", name: "delete", method: "tools/call" },
      },
    ]);
    expect(records()[1]?.metadata.auditId).not.toBe(callId);
    expect(records()[1]?.metadata.extra["duration_ms"]).toEqual(expect.any(Number));
  });

  test("ends on record once, whatever is told later [I13]", () => {
    const { trail, records } = createRig();
    const call = trail.callBegins(PARTY, CALL);

    call?.cancelled("b1");
    call?.answered(answer({ result: {} }), "b1");
    call?.failed(new VmcpError("backend_closed", "gone"), "b1");

    expect(records().map(({ outcome }) => outcome)).toEqual(["pending", "failure"]);
  });

  test.for([
    ["a result", { result: { content: [] } }, true, "success"],
    ["a result that says isError", { result: { isError: true } }, true, "application_error"],
    ["the same where nobody looks", { result: { isError: true } }, false, "success"],
    ["an error of the backend", { error: { code: -32_602, message: "m" } }, true, "failure"],
  ] as const)("with %s ends as it should be read", ([, message, detects, outcome]) => {
    const { trail, records } = createRig({ detectApplicationErrors: detects });

    trail.callBegins(PARTY, CALL)?.answered(answer(message), "b1");

    expect(records()[1]?.outcome).toBe(outcome);
  });

  test("that fails says why and whether it ran", () => {
    const { trail, records } = createRig();
    const error = new VmcpError("backend_timeout", "m", {
      backend: "b2",
      executionState: "unknown",
    });

    trail.callBegins(PARTY, CALL)?.failed(error);

    expect(records()[1]).toMatchObject({
      outcome: "failure",
      metadata: {
        extra: { backend: "b2", error_kind: "backend_timeout", execution_state: "unknown" },
      },
    });
  });

  test("of a name that was denied is told apart from one that nobody offers", () => {
    const { trail, records } = createRig();

    trail.callBegins(PARTY, CALL)?.failed(new VmcpError("capability_not_found", "m"));
    trail
      .callBegins(PARTY, CALL)
      ?.failed(new VmcpError("capability_not_found", "m", { reason: "forbidden by policies[0]" }));

    expect(records().filter(({ outcome }) => outcome !== "pending")).toMatchObject([
      { outcome: "failure", metadata: { extra: { error_kind: "capability_not_found" } } },
      { outcome: "denied", metadata: { extra: { error_kind: "policy_denied" } } },
    ]);
  });

  test("for which there is no room was denied", () => {
    const { trail, records } = createRig();

    trail.callBegins(PARTY, CALL)?.failed(new VmcpError("overloaded", "m"));

    expect(records()[1]?.outcome).toBe("denied");
  });

  test("shows neither arguments nor results nor the session id unless it is told to [I9]", () => {
    const { trail, file } = createRig();

    trail
      .callBegins(PARTY, {
        method: "tools/call",
        params: { name: "t", arguments: { a: "CANARY" } },
      })
      ?.answered(answer({ result: { content: "CANARY" } }), "b1");
    trail.callBegins(PARTY, { method: "resources/read", params: { uri: "x://h/a?CANARY" } });

    expect(file.text).not.toContain("CANARY");
    expect(file.text).not.toContain("secret-session");
  });

  test("shows both where it is told to, up to a size", () => {
    const { trail, records } = createRig({
      includeRequestData: true,
      includeResponseData: true,
      maxDataSize: 40,
    });
    const long = "y".repeat(100);

    trail.callBegins(PARTY, CALL)?.answered(answer({ result: { a: 1 } }), "b1");
    trail
      .callBegins(PARTY, { method: "tools/call", params: { arguments: { long } } })
      ?.answered(answer({ result: { long } }), "b1");

    expect(records().map(({ data }) => data)).toEqual([
      { request: { arguments: { password: "x" } } },
      { response: { a: 1 } },
      { request: expect.stringMatching(/^\{"arguments":\{"long":"y{18}$/) },
      { response: expect.stringMatching(/^\{"result":\{"long":"y{21}$/) },
    ]);
  });
});

describe("event types", () => {
  test("are all recorded where none is named", () => {
    const { trail } = createRig();

    expect(AUDIT_EVENT_TYPES.every((type) => trail.records(type))).toBe(true);
  });

  test("are those that are named, without those that are excluded", () => {
    const { trail } = createRig({
      eventTypes: ["mcp_tool_call", "mcp_ping"],
      excludeEventTypes: ["mcp_ping", "config_reload"],
    });

    expect(AUDIT_EVENT_TYPES.filter((type) => trail.records(type))).toEqual(["mcp_tool_call"]);
  });

  test("that are not recorded refuse nothing while nothing can be written", () => {
    const { trail } = createRig({ excludeEventTypes: ["mcp_tool_call"] }, 0);
    trail.record({ type: "config_reload", outcome: "success", ...PARTY });

    expect(trail.isRefusing).toBe(true);
    expect(trail.callBegins(PARTY, CALL)).toBeUndefined();
  });
});

describe("while records cannot be written", () => {
  const refused = expect.objectContaining({
    code: "store_unavailable",
    executionState: "not_executed",
    retryAfterSeconds: expect.any(Number),
  });

  test("deny refuses what would have to be recorded first [F36]", () => {
    const { trail, file } = createRig({}, 0);

    expect(() => trail.callBegins(PARTY, CALL)).toThrow(refused);
    expect(() =>
      trail.recordFirst({ type: "mcp_tools_list", outcome: "success", ...PARTY }),
    ).toThrow(refused);
    expect(() => trail.require("mcp_initialize")).toThrow(refused);
    expect(file.text).toBe("");
    expect(trail.status()).toMatchObject({ state: "failing", reason: "ENOSPC", refused: 3 });
  });

  test("allow lets it happen and keeps its records [F36]", () => {
    const { trail, log, file, records } = createRig({ onFailure: "allow" }, 0);

    trail.callBegins(PARTY, CALL)?.answered(answer({ result: {} }), "b1");
    file.room = Number.POSITIVE_INFINITY;
    log[Symbol.dispose]();

    expect(records().map(({ type, outcome }) => `${type} ${outcome}`)).toEqual([
      "mcp_tool_call pending",
      "mcp_tool_call success",
      "audit_resumed success",
    ]);
  });

  test("a call of which half a record was written is refused, and has an end on record [I13]", () => {
    const { trail, log, file, records } = createRig({}, 20);

    expect(() => trail.callBegins(PARTY, CALL)).toThrow(refused);
    file.room = Number.POSITIVE_INFINITY;
    log[Symbol.dispose]();

    expect(records()).toMatchObject([
      { type: "mcp_tool_call", outcome: "pending" },
      {
        type: "mcp_tool_call",
        outcome: "failure",
        metadata: { extra: { error_kind: "store_unavailable", execution_state: "not_executed" } },
      },
      { type: "audit_resumed" },
    ]);
  });

  test("the end of a call that began before is recorded later [I13]", () => {
    const { trail, log, file, records } = createRig();
    const call = trail.callBegins(PARTY, CALL);
    file.room = 0;

    call?.answered(answer({ result: {} }), "b1");
    file.room = Number.POSITIVE_INFINITY;
    log[Symbol.dispose]();

    expect(records().map(({ outcome }) => outcome)).toEqual(["pending", "success", "success"]);
  });
});
