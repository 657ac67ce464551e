import { describe, expect, test } from "vitest";
import type { VmcpConfigInput } from "../../src/config/load-config.ts";
import { BearerToken } from "../../src/domain/bearer-token.ts";
import type { Identity } from "../../src/domain/identity.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import { auditFile, readAudit } from "../support/audit-records.ts";
import { startStatelessBackend } from "../support/backend/stateless-backend.ts";
import { startGateway } from "../support/gateway.ts";
import { type HttpLedger, startHttpLedger } from "../support/ledger-backend.ts";
import { startSseLedger } from "../support/ledger-sse.ts";
import { ScriptedTokenEndpoint } from "../support/token-endpoint.ts";

function user(
  subject: string,
  claims: JsonObject = {},
  more: Partial<Extract<Identity, { kind: "verified" }>> = {},
): Identity {
  const issuer = "https://issuer.example";
  const token = new BearerToken(`CLIENT-TOKEN-of-${subject}`);
  return { kind: "verified", issuer, subject, claims, token, ...more };
}

const ALICE = user("alice");
const BOB = user("bob");

type Strategy = NonNullable<NonNullable<VmcpConfigInput["outgoingAuth"]>["default"]>;

function configOf(backend: HttpLedger, strategy: Strategy): VmcpConfigInput {
  return {
    backends: [{ name: "b1", url: backend.url }],
    outgoingAuth: { backends: { b1: strategy } },
  };
}

/** What the backend saw in that header of its calls. */
function called({ ledger }: HttpLedger, header = "authorization"): readonly unknown[] {
  return ledger.calls.map(({ headers }) => headers[header]);
}

describe("credentials of one backend", () => {
  test("are never shown to another, nor to whoever it redirects to, nor after they are swapped [auth A20]", async () => {
    await using one = await startHttpLedger();
    await using two = await startHttpLedger();
    await using trap = await startHttpLedger();
    const swapped = (first: string, second: string): VmcpConfigInput => ({
      backends: [
        { name: "b1", url: one.url },
        { name: "b2", url: two.url },
      ],
      aggregation: { conflictResolution: "prefix" },
      outgoingAuth: {
        backends: {
          b1: { type: "header_injection", headerName: "x-key", headerValue: first },
          b2: { type: "header_injection", headerName: "x-key", headerValue: second },
        },
      },
    });
    await using gateway = await startGateway(swapped("KEY-ONE", "KEY-TWO"));
    const session = await gateway.vmcp.openSession();
    const call = async (): Promise<void> => {
      await Promise.allSettled([session.callTool("b1_echo", {}), session.callTool("b2_echo", {})]);
    };
    await call();

    await gateway.vmcp.reload(swapped("KEY-THREE", "KEY-ONE"));
    await call();
    one.interceptWith((_request, _body, response) => {
      response.writeHead(307, { location: trap.url }).end();
      return true;
    });
    await call();

    expect([called(one, "x-key"), called(two, "x-key")]).toEqual([
      ["KEY-ONE", "KEY-THREE"],
      ["KEY-TWO", "KEY-ONE", "KEY-ONE"],
    ]);
    // The probes and what ends sessions carry them too.
    const everSeen = [one, two].map(({ requests }) =>
      [...new Set(requests.map(({ headers }) => String(headers["x-key"])))].toSorted(),
    );
    expect(everSeen).toEqual([
      ["KEY-ONE", "KEY-THREE"],
      ["KEY-ONE", "KEY-TWO"],
    ]);
    expect(trap.requests).toEqual([]);
  });

  test("that depend on the user leave its health unknown until one uses it", async () => {
    await using tokens = await ScriptedTokenEndpoint.start();
    await using backend = await startHttpLedger();
    await using gateway = await startGateway(
      configOf(backend, { type: "token_exchange", tokenUrl: tokens.url }),
    );
    const atStart = await gateway.vmcp.probed();
    const requestsAtStart = [...backend.requests];

    await gateway.vmcp.openSession(ALICE);

    expect(atStart).toMatchObject([{ state: "unknown" }]);
    expect(requestsAtStart).toEqual([]);
    expect(gateway.vmcp.health()).toMatchObject([{ state: "healthy", toolCount: 13 }]);
  });

  test("that depend on the user keep each user's lists from the others", async () => {
    await using tokens = await ScriptedTokenEndpoint.start();
    await using backend = await startHttpLedger();
    tokens.answer = ({ form }) =>
      form["subject_token"] === "CLIENT-TOKEN-of-alice"
        ? { body: tokens.nextToken() }
        : { status: 400, body: { error: "invalid_grant" } };
    await using gateway = await startGateway(
      configOf(backend, { type: "token_exchange", tokenUrl: tokens.url }),
    );
    const alice = await gateway.vmcp.openSession(ALICE);

    const bob = await gateway.vmcp.openSession(BOB);

    expect(alice.tools.length).toBeGreaterThan(0);
    expect(bob.tools).toEqual([]);
    expect(bob.backends()).toMatchObject([{ failure: { code: "backend_auth" } }]);
  });

  test("are asked for in the name of whoever asks now, and not of who opened the session", async () => {
    await using tokens = await ScriptedTokenEndpoint.start();
    await using backend = await startHttpLedger();
    await using gateway = await startGateway(
      configOf(backend, { type: "token_exchange", tokenUrl: tokens.url }),
    );
    const session = await gateway.vmcp.openSession(ALICE);
    const narrower = user(
      "alice",
      {},
      { scopes: ["less"], token: new BearerToken("CLIENT-TOKEN-less") },
    );

    session.identify?.(narrower);
    await session.callTool("echo", {});

    expect(tokens.asked.map(({ form }) => form["subject_token"])).toEqual([
      "CLIENT-TOKEN-of-alice",
      "CLIENT-TOKEN-less",
    ]);
    expect(called(backend)).toEqual(["Bearer token-2"]);
  });

  test("are not asked for with a token of the client that has expired", async () => {
    await using tokens = await ScriptedTokenEndpoint.start();
    await using backend = await startHttpLedger();
    await using gateway = await startGateway(
      configOf(backend, { type: "token_exchange", tokenUrl: tokens.url }),
    );

    const expired = user("alice", {}, { expiresAtMs: Date.now() - 1 });
    const session = await gateway.vmcp.openSession(expired);

    expect(session.backends()).toMatchObject([{ failure: { code: "backend_auth" } }]);
    expect(tokens.asked).toEqual([]);
  });

  test("are carried by every message over the older transport too", async () => {
    await using tokens = await ScriptedTokenEndpoint.start();
    await using backend = await startSseLedger();
    await using gateway = await startGateway({
      backends: [{ name: "b1", url: backend.url, transport: "sse" }],
      outgoingAuth: { default: { type: "token_exchange", tokenUrl: tokens.url } },
    });
    const session = await gateway.vmcp.openSession(ALICE);

    await session.callTool("echo", {});

    expect(tokens.asked).toHaveLength(1);
    const { messages } = backend.ledger;
    expect(messages.length).toBeGreaterThan(2);
    expect(new Set(messages.map(({ headers }) => headers.authorization))).toEqual(
      new Set(["Bearer token-1"]),
    );
  });

  test("are those of the one who calls where each call has a session of its own", async () => {
    await using tokens = await ScriptedTokenEndpoint.start();
    await using backend = await startHttpLedger();
    await using gateway = await startGateway({
      ...configOf(backend, { type: "token_exchange", tokenUrl: tokens.url }),
      operational: { sessionManagementV2: false },
    });
    const session = await gateway.vmcp.openSession(ALICE);
    session.identify?.(BOB);

    await session.callTool("echo", {});

    expect(called(backend)).toEqual(["Bearer token-2"]);
    expect(tokens.asked.map(({ form }) => form["subject_token"])).toEqual([
      "CLIENT-TOKEN-of-alice",
      "CLIENT-TOKEN-of-bob",
    ]);
  });

  test("are carried by requests to a backend that keeps no sessions", async () => {
    await using tokens = await ScriptedTokenEndpoint.start();
    await using backend = await startStatelessBackend();
    await using gateway = await startGateway({
      backends: [{ name: "b1", url: backend.url }],
      outgoingAuth: { default: { type: "token_exchange", tokenUrl: tokens.url } },
    });

    const session = await gateway.vmcp.openSession(ALICE);

    expect(session.tools.length).toBeGreaterThan(0);
    expect(tokens.asked).toHaveLength(1);
    expect(new Set(backend.requests.map(({ headers }) => headers["authorization"]))).toEqual(
      new Set(["Bearer token-1"]),
    );
  });

  test("are replaced with the connections of a backend whose strategy a reload changes, and of no other", async () => {
    await using tokens = await ScriptedTokenEndpoint.start();
    await using one = await startHttpLedger();
    await using two = await startHttpLedger();
    const withScope = (scope: string): VmcpConfigInput => ({
      backends: [
        { name: "b1", url: one.url },
        { name: "b2", url: two.url },
      ],
      aggregation: { conflictResolution: "prefix" },
      server: { port: 0 },
      operational: { sessionManagementV2: true, sessions: { drainDeadline: "50ms" } },
      outgoingAuth: {
        backends: {
          b1: { type: "token_exchange", tokenUrl: tokens.url, scopes: [scope] },
          b2: { type: "token_exchange", tokenUrl: tokens.url },
        },
      },
    });
    await using gateway = await startGateway(withScope("less"));
    const session = await gateway.vmcp.openSession(ALICE);
    const before = tokens.asked.length;

    const { changes } = await gateway.vmcp.reload(withScope("more"));
    // What was known under the old strategy is forgotten: the backend joins again under the new one.
    await expect.poll(() => session.tools.some(({ name }) => name === "b1_echo")).toBe(true);
    await session.callTool("b1_echo", {});
    await session.callTool("b2_echo", {});

    expect(changes).toEqual([
      {
        kind: "backend_changed",
        backend: "b1",
        fields: ["outgoingAuth"],
        connections: "replace",
      },
    ]);
    expect(tokens.asked.slice(before).map(({ form }) => form["scope"])).toEqual(["more"]);
  });

  test("that were asked for are in the audit log, with whom they are for and how it ended", async () => {
    await using tokens = await ScriptedTokenEndpoint.start();
    await using backend = await startHttpLedger();
    const logFile = auditFile();
    await using gateway = await startGateway({
      ...configOf(backend, { type: "token_exchange", tokenUrl: tokens.url }),
      audit: { enabled: true, logFile, eventTypes: ["credentials_refreshed"] },
    });
    await gateway.vmcp.openSession(ALICE);
    tokens.answer = () => ({ status: 400, body: { error: "invalid_grant" } });

    await gateway.vmcp.openSession(BOB);

    expect(readAudit(logFile)).toMatchObject([
      {
        type: "credentials_refreshed",
        outcome: "success",
        subjects: { user_id: "alice", issuer: "https://issuer.example" },
        target: { type: "server", name: "b1" },
        metadata: { extra: { strategy: "token_exchange" } },
      },
      {
        outcome: "failure",
        subjects: { user_id: "bob" },
        metadata: { extra: { error_kind: "backend_auth" } },
      },
    ]);
  });
});
