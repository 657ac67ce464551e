import { expect, test } from "vitest";
import { fakeBackend } from "../../test/support/fake-backends.ts";
import { createFactory } from "../../test/support/sessions.ts";
import { resolveConfig } from "../config/load-config.ts";
import { SILENT_LOGGER } from "../domain/logger.ts";
import type { EdgeSessions } from "../server/rev-2025-11-25/sessions.ts";
import { createAudit, type GatewayAudit } from "./audit.ts";

function auditWith(audit: object): GatewayAudit {
  const config = resolveConfig({ backends: [{ name: "b1", url: "http://127.0.0.1:1/" }], audit });
  return createAudit(config.audit, SILENT_LOGGER);
}

const SESSIONS: EdgeSessions = {
  generate: async () => "id",
  createSession: async () => Promise.reject(new Error("not asked for")),
  getMultiSession: () => undefined,
  whenReady: async () => Promise.reject(new Error("not asked for")),
  terminate: async () => {},
};

test("without an audit log every part is the one that it was, so that a call costs what it did", () => {
  using audit = auditWith({ enabled: false });
  const [factory, backend] = [createFactory(), fakeBackend("b1")];

  expect(audit.factory(factory)).toBe(factory);
  expect(audit.backend(backend)).toBe(backend);
  expect(audit.edge(SESSIONS)).toBe(SESSIONS);
  expect(audit.sessionListeners).toEqual({});
  expect([audit.status(), audit.readiness(), audit.isRefusing]).toEqual([{}, {}, false]);
});

test("a backend whose connections are not recorded is left as it was", () => {
  using audit = auditWith({ enabled: true, eventTypes: ["mcp_tool_call"] });
  const backend = fakeBackend("b1");

  expect(audit.backend(backend)).toBe(backend);
});
