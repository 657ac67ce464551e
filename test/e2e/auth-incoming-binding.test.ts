import { describe, expect, test } from "vitest";
import { auditFile, readAudit } from "../support/audit-records.ts";
import { IdentityProvider } from "../support/identity-provider.ts";
import { closingAgent, statusOver } from "./auth-incoming-target.ts";
import { openRawSession, postMessage, sendRaw, type RawAnswer } from "../support/raw-client.ts";
import { callText, INITIALIZE, startKnobs } from "./knobs/knob-gateway.ts";
import { AUDIENCE, bearer, oidcFor, rightClaims, startAuthRig } from "./auth-incoming-rig.ts";

const LIST = { jsonrpc: "2.0", id: 7, method: "tools/list" };
const UNKNOWN_ID = "5b1a3c6e-0000-4000-8000-1f2e3d4c5b6a";

/** Everything of an answer that a client could tell it from another by. */
function wholeOf({ status, headers, text }: RawAnswer) {
  const { date: _date, ...others } = headers;
  return { status, headers: others, text };
}

const STREAM = { accept: "text/event-stream" };

// [spec:elicitation-9] [spec:security-3] [spec:security-4]
describe("the session of somebody else answers to the byte as one that does not exist", () => {
  test.for([
    ["POST [A8] [auth A1]", async (url, headers) => postMessage(url, LIST, headers)],
    ["DELETE [auth A2]", async (url, headers) => sendRaw(url, { method: "DELETE", headers })],
    ["GET [auth A3]", async (url, headers) => sendRaw(url, { headers: { ...headers, ...STREAM } })],
    [
      "GET with Last-Event-ID [auth A4]",
      async (url, headers) =>
        sendRaw(url, { headers: { ...headers, ...STREAM, "last-event-id": "1" } }),
    ],
  ] as readonly (readonly [
    string,
    (url: string, headers: Readonly<Record<string, string>>) => Promise<RawAnswer>,
  ])[])("%s", async ([, ask]) => {
    const logFile = auditFile();
    const { gateway, as } = await startAuthRig({ config: { audit: { enabled: true, logFile } } });
    const session = await openRawSession(gateway.url, { headers: await as("alice") });
    const bob = await as("bob");

    const foreign = await ask(gateway.url, { ...bob, "mcp-session-id": session.id });
    const unknown = await ask(gateway.url, { ...bob, "mcp-session-id": UNKNOWN_ID });

    expect(foreign.status).toBe(404);
    expect(wholeOf(foreign)).toEqual(wholeOf(unknown));
    expect(await callText(session, "echo", { text: "n1" })).toContain("n1");
    const mismatches = readAudit(logFile).filter(({ type }) => type === "binding_mismatch");
    expect(mismatches).toMatchObject([{ outcome: "denied", subjects: { user_id: "bob" } }]);
    expect(JSON.stringify(mismatches)).not.toContain(session.id);
  });
});

test("the delay of the answer does not tell a foreign session from an unknown one [auth A1]", async () => {
  const { gateway, as } = await startAuthRig({
    config: { limits: { failedRequestsPerMinute: 100_000 } },
  });
  const { id } = await openRawSession(gateway.url, { headers: await as("alice") });
  const bob = await as("bob");
  const measure = async (sessionId: string): Promise<number> => {
    const startedAt = performance.now();
    await sendRaw(gateway.url, {
      method: "DELETE",
      headers: { ...bob, "mcp-session-id": sessionId },
    });
    return performance.now() - startedAt;
  };

  const foreign: number[] = [];
  const unknown: number[] = [];
  for (let round = 0; round < 600; round += 1) {
    // One after the other: what runs beside would be measured too.
    // oxlint-disable-next-line no-await-in-loop
    foreign.push(await measure(id));
    // oxlint-disable-next-line no-await-in-loop
    unknown.push(await measure(UNKNOWN_ID));
  }

  // A millionth of what is left to chance on a quiet machine; a look-up more or less is far beyond it.
  expect(Math.abs(welch(trimmed(foreign), trimmed(unknown)))).toBeLessThan(5);
});

/** The slowest tenth says how busy the machine was. */
function trimmed(samples: readonly number[]): readonly number[] {
  return samples.toSorted((left, right) => left - right).slice(0, samples.length * 0.9);
}

function welch(left: readonly number[], right: readonly number[]): number {
  const of = (samples: readonly number[]): { mean: number; error: number } => {
    const mean = samples.reduce((sum, each) => sum + each, 0) / samples.length;
    const variance =
      samples.reduce((sum, each) => sum + (each - mean) ** 2, 0) / (samples.length - 1);
    return { mean, error: variance / samples.length };
  };
  const [a, b] = [of(left), of(right)];
  return (a.mean - b.mean) / Math.sqrt(a.error + b.error);
}

test("the same subject of another issuer is somebody else [auth A5]", async () => {
  const { gateway, as, reload } = await startAuthRig();
  const session = await openRawSession(gateway.url, { headers: await as("alice") });
  await using other = await IdentityProvider.start();

  await reload({ type: "oidc", oidc: oidcFor(other) });
  const token = await other.tokenFor({ subject: "alice", audience: AUDIENCE });
  const answer = await postMessage(gateway.url, LIST, { ...session.headers, ...bearer(token) });

  expect(answer.status).toBe(404);
});

test.for([
  ["is let in by default", false, 200],
  ["is somebody else with bindClient: true", true, 404],
] as const)("the same user with another program %s [auth A6]", async ([, bindClient, expected]) => {
  const { gateway, provider } = await startAuthRig({ incomingAuth: { bindClient } });
  const withClient = async (clientId: string): Promise<Readonly<Record<string, string>>> =>
    bearer(await provider.sign({ ...rightClaims(provider), client_id: clientId }));
  const session = await openRawSession(gateway.url, { headers: await withClient("one") });

  const again = await postMessage(gateway.url, LIST, {
    ...session.headers,
    ...(await withClient("one")),
  });
  const other = await postMessage(gateway.url, LIST, {
    ...session.headers,
    ...(await withClient("two")),
  });

  expect([again.status, other.status]).toEqual([200, expected]);
});

test("a session of one gateway is unknown to another [auth A7]", async () => {
  const provider = await IdentityProvider.start();
  const one = await startAuthRig({ provider });
  const two = await startAuthRig({ provider });
  const headers = await one.as("alice");
  const session = await openRawSession(one.gateway.url, { headers });

  const answer = await postMessage(two.gateway.url, LIST, session.headers);

  expect(answer.status).toBe(404);
});

test("a session goes on with a token that was renewed, and its owner's latest one counts [auth A9]", async () => {
  const { gateway, as } = await startAuthRig();
  const first = await as("alice");
  const session = await openRawSession(gateway.url, { headers: first });
  const second = await as("alice");

  const answer = await postMessage(gateway.url, LIST, { ...session.headers, ...second });

  expect(second).not.toEqual(first);
  expect(answer.status).toBe(200);
  expect(gateway.vmcp.sessions.getMultiSession(session.id)?.identity).toMatchObject({
    kind: "verified",
    token: expect.objectContaining({}),
  });
});

test("a renewed token with a smaller scope counts from the next call on [auth A10]", async () => {
  const { gateway, as } = await startAuthRig({ oidc: { scopes: ["mcp:read", "mcp:write"] } });
  const session = await openRawSession(gateway.url, {
    headers: await as("alice", "mcp:read mcp:write"),
  });
  const smaller = await as("alice", "mcp:read");

  const answer = await postMessage(gateway.url, LIST, { ...session.headers, ...smaller });

  expect(answer.status).toBe(403);
  expect(JSON.parse(answer.text)).toMatchObject({ id: 7, error: { code: 403 } });
  expect(answer.headers["www-authenticate"]).toBe(
    'Bearer error="insufficient_scope", resource_metadata="https://mcp.example/.well-known/oauth-protected-resource/mcp", scope="mcp:read mcp:write"',
  );
});

test("one connection serves whoever each of its requests proves to be [R2]", async () => {
  const { gateway, as } = await startAuthRig();
  const [alice, bob] = [await as("alice"), await as("bob")];
  const session = await openRawSession(gateway.url, { headers: alice });
  using agent = closingAgent();

  const statuses: number[] = [];
  for (const proof of [alice, bob, alice, bob]) {
    // The order is what this is about.
    // oxlint-disable-next-line no-await-in-loop
    statuses.push(await statusOver(agent, gateway.url, LIST, { ...session.headers, ...proof }));
  }

  expect(statuses).toEqual([200, 404, 200, 404]);
});

test("one identity has no more sessions than maxSessionsPerIdentity, and takes none from others", async () => {
  const { gateway, as } = await startAuthRig();
  const [alice, bob] = [await as("alice"), await as("bob")];
  const opening = Array.from({ length: 10 }, async () =>
    openRawSession(gateway.url, { headers: alice }),
  );
  await Promise.all(opening);

  const eleventh = await postMessage(gateway.url, INITIALIZE, alice);
  const others = await postMessage(gateway.url, INITIALIZE, bob);

  expect([eleventh.status, others.status]).toEqual([503, 200]);
});

test.for(["anonymous", "local"] as const)(
  "going over to %s clients is refused while other machines reach the gateway",
  async (type) => {
    const backends = [{ name: "b1", url: "http://127.0.0.1:1/mcp" }];
    const keys = [{ id: "k", sha256: "0".repeat(64), subject: "alice" }];
    await using gateway = await startKnobs({
      backends,
      incomingAuth: { type: "apiKey", apiKey: { keys } },
      server: { host: "0.0.0.0" },
    });
    const url = gateway.url.replace("0.0.0.0", "127.0.0.1");

    const reloading = gateway.vmcp.reload({
      backends,
      incomingAuth: { type },
      server: { host: "127.0.0.1", port: 0 },
    });

    await expect(reloading).rejects.toMatchObject({ code: "invalid_config" });
    expect(await postMessage(url, INITIALIZE)).toMatchObject({ status: 401 });
  },
);
