import { expect, test } from "vitest";
import { AuditLog } from "../audit/audit-log.ts";
import { AuditTrail, type AuditOptions } from "../audit/audit-trail.ts";
import type { Identity } from "../domain/identity.ts";
import { SILENT_LOGGER } from "../domain/logger.ts";
import { BearerToken } from "../domain/bearer-token.ts";
import { VmcpError } from "../domain/errors.ts";
import { recordRefresh } from "./audited-credentials.ts";
import { DeniedRequests } from "./audited-denials.ts";

const OPTIONS: AuditOptions = {
  component: "edge",
  eventTypes: [],
  excludeEventTypes: [],
  includeRequestData: true,
  includeResponseData: true,
  detectApplicationErrors: true,
  maxDataSize: 1_000,
  onFailure: "allow",
};

const ALICE: Identity = {
  kind: "verified",
  issuer: "https://id.example",
  subject: "alice",
  claims: { email: "CANARY-claim" },
  token: new BearerToken("CANARY-token"),
};

/** A trail whose records can be read, and a clock that is set. */
function setUp(options: Partial<AuditOptions> = {}) {
  const lines: string[] = [];
  const file = {
    name: "memory",
    write: (bytes: Buffer) => {
      if (bytes.length > 0) lines.push(bytes.toString());
      return bytes.length;
    },
    [Symbol.dispose]() {},
  };
  const log = new AuditLog({ file, logger: SILENT_LOGGER, resumed: () => "" });
  const trail = new AuditTrail({ ...OPTIONS, ...options }, log);
  const clock = { nowMs: 0 };
  const denied = new DeniedRequests(trail, () => clock.nowMs);
  const records = (): readonly unknown[] => lines.map((line): unknown => JSON.parse(line));
  return { trail, clock, denied, records, text: () => lines.join("") };
}

const REQUEST = { method: "POST", address: "10.0.0.7", code: "unauthorized" };

test("what was refused before anybody was known is recorded by where it came from", () => {
  const { denied, records } = setUp();

  denied.note(REQUEST);

  expect(records()).toMatchObject([
    {
      type: "request_denied",
      outcome: "denied",
      source: { type: "network", value: "10.0.0.7" },
      subjects: {},
      target: { method: "POST" },
      metadata: { extra: { error_kind: "unauthorized" } },
    },
  ]);
});

test("what was refused to somebody says to whom, what, and why, and never by which proof", () => {
  const { denied, records, text } = setUp();

  denied.note({
    ...REQUEST,
    code: "policy_denied",
    identity: ALICE,
    sessionId: "SESSION",
    target: { type: "tool", name: "delete" },
    reason: "policy0",
  });

  expect(records()).toMatchObject([
    {
      subjects: { user_id: "alice", issuer: "https://id.example" },
      source: { extra: { session_id: expect.stringMatching(/^[0-9a-f]{16}$/) } },
      target: { method: "POST", type: "tool", name: "delete" },
      metadata: { extra: { error_kind: "policy_denied", reason: "policy0" } },
    },
  ]);
  expect(text()).not.toMatch(/CANARY|SESSION/);
});

test("a session that somebody else asked for is recorded with who asked, and without its id", () => {
  const { denied, records, text } = setUp();

  denied.noteMismatch({ ...REQUEST, sessionId: "SESSION", identity: ALICE });

  expect(records()).toMatchObject([
    {
      type: "binding_mismatch",
      outcome: "denied",
      subjects: { user_id: "alice" },
      target: { method: "POST", type: "session", name: expect.stringMatching(/^[0-9a-f]{16}$/) },
    },
  ]);
  expect(text()).not.toMatch(/CANARY|SESSION/);
});

test("of a flood ten a second are recorded, and the next record counts the rest", () => {
  const { denied, clock, records } = setUp();

  for (let count = 0; count < 25; count += 1) denied.note(REQUEST);
  denied.noteMismatch({ ...REQUEST, sessionId: "s", identity: ALICE });
  clock.nowMs = 1_000;
  denied.note(REQUEST);

  expect(records()).toHaveLength(12);
  expect(records().slice(10)).toMatchObject([
    { type: "binding_mismatch" },
    { type: "request_denied", metadata: { extra: { unrecorded_before: 15 } } },
  ]);
});

test("credentials that were had, or not, are recorded with whose they are, and never what they are", () => {
  const { trail, records, text } = setUp();
  const error = new VmcpError("backend_auth", "CANARY-message");

  recordRefresh(
    { backend: "b1", strategy: "token_exchange", identity: ALICE, durationMs: 12.4 },
    trail,
  );
  recordRefresh({ backend: "b1", strategy: "client_credentials", durationMs: 3, error }, trail);

  expect(records()).toMatchObject([
    {
      type: "credentials_refreshed",
      outcome: "success",
      subjects: { user_id: "alice" },
      target: { type: "server", name: "b1" },
      metadata: { extra: { strategy: "token_exchange", duration_ms: 12 } },
    },
    {
      outcome: "failure",
      subjects: {},
      metadata: { extra: { strategy: "client_credentials", error_kind: "backend_auth" } },
    },
  ]);
  expect(text()).not.toContain("CANARY");
});

test("records of these types are left out like any other", () => {
  const { denied, records } = setUp({ excludeEventTypes: ["request_denied"] });

  denied.note(REQUEST);
  denied.noteMismatch({ ...REQUEST, sessionId: "s", identity: ALICE });

  expect(records()).toMatchObject([{ type: "binding_mismatch" }]);
});
