import { createHash } from "node:crypto";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as readText } from "node:stream/consumers";
import { describe, expect, onTestFinished, test } from "vitest";
import type { VmcpConfigInput } from "../../src/config/load-config.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import type { Logger } from "../../src/domain/logger.ts";
import { createVmcp } from "../../src/app/create-vmcp.ts";
import { auditFile, readAudit } from "../support/audit-records.ts";
import { AUTHORITY, CERTIFICATE_KEY, GOOD_CERTIFICATE } from "../support/certificates.ts";
import { CLIENTS } from "../support/e2e-clients.ts";
import { IdentityProvider } from "../support/identity-provider.ts";
import { startHttpLedger } from "../support/ledger-backend.ts";
import { openRawSession, postMessage, sendRaw, startRaw } from "../support/raw-client.ts";
import { INITIALIZE, startKnobs } from "./knobs/knob-gateway.ts";
import { sendTarget } from "./auth-incoming-target.ts";
import { bearer, oidcFor, rightClaims, startAuthRig } from "./auth-incoming-rig.ts";

const LIST = { jsonrpc: "2.0", id: 7, method: "tools/list" };
const NOWHERE = { backends: [{ name: "b1", url: "http://127.0.0.1:1/mcp" }] };
const METADATA = "/.well-known/oauth-protected-resource";
const KEY = "alice-0123456789abcdef";
const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"];
const PATHS = [
  "/mcp",
  "/mcp/",
  "/mcp?x=1",
  "/mcp/s/name",
  "/sse",
  "/messages",
  "/messages?sessionId=x",
  "/status",
  "/status?config",
  "/metrics",
  "/console",
  "/admin",
  "/oauth/callback",
  "/",
  "//mcp",
  "/%6dcp",
  "/%2e%2e/mcp",
  "/./mcp",
  "/health/../mcp",
  "/health/../status",
  "/.well-known/../status",
  "http://127.0.0.1/mcp",
];
const OPEN_PATHS = ["/health", "/healthz", "/readyz", METADATA, `${METADATA}/mcp`];

function originOf({ url }: { readonly url: string }): string {
  return new URL(url).origin;
}

describe("without a token", () => {
  test.for(PATHS)("nothing at %s is served, whatever the method [auth A26]", async (path) => {
    const { gateway } = await startAuthRig({ config: { server: { legacySse: true } } });

    const statuses = await Promise.all(
      METHODS.map(async (method) => sendTarget(gateway.url, method, path)),
    );

    // What is no route does not ask who asks for it.
    expect(statuses.filter((status) => ![400, 401, 404, 405].includes(status))).toEqual([]);
  });

  test("nothing is served at an endpoint below the well-known paths either [auth A26]", async () => {
    const path = "/.well-known/mcp";
    const { gateway } = await startAuthRig({ config: { server: { path } } });

    const statuses = await Promise.all(
      [path, `${path}/s/name`].map(async (each) => sendTarget(gateway.url, "POST", each)),
    );

    expect(statuses).toEqual([401, 401]);
  });

  test.for(OPEN_PATHS)("%s is served to everybody", async (path) => {
    const { gateway } = await startAuthRig();
    await gateway.vmcp.probed();

    expect(await sendTarget(gateway.url, "GET", path)).toBe(200);
  });

  // [spec:transport-10] [spec:base-16]
  test("the endpoint says where to look and what to ask for, and names no error", async () => {
    const { gateway, backend } = await startAuthRig({ oidc: { scopes: ["mcp:read"] } });

    const answer = await postMessage(gateway.url, INITIALIZE);

    expect(answer).toMatchObject({ status: 401, text: "" });
    expect(answer.headers["www-authenticate"]).toBe(
      `Bearer resource_metadata="https://mcp.example${METADATA}/mcp", scope="mcp:read"`,
    );
    expect(backend.sessions).toEqual([]);
  });

  test("the body of a request is not waited for", async () => {
    const { gateway } = await startAuthRig();

    const answer = await startRaw(gateway.url, {
      method: "POST",
      headers: { "content-length": "1000000", expect: "100-continue" },
    });

    expect(answer.status).toBe(401);
    answer.destroy();
  });
});

describe("the metadata of the endpoint", () => {
  test.for([METADATA, `${METADATA}/mcp`])("at %s names resource and issuer", async (path) => {
    const { gateway, provider } = await startAuthRig({
      oidc: { scopes: ["mcp:read"] },
      incomingAuth: { toolScopes: { echo: ["mcp:write"] } },
    });

    const { status, text } = await sendRaw(`${originOf(gateway)}${path}`);

    expect(status).toBe(200);
    expect(JSON.parse(text)).toEqual({
      resource: "https://mcp.example/mcp",
      authorization_servers: [provider.issuer],
      scopes_supported: ["mcp:read", "mcp:write"],
      bearer_methods_supported: ["header"],
      resource_name: "vmcp",
    });
  });

  test("never takes the resource from a request", async () => {
    const { gateway } = await startAuthRig({
      config: { server: { allowedHosts: ["evil.example"] } },
    });

    const { text } = await sendRaw(`${originOf(gateway)}${METADATA}`, {
      headers: { host: "evil.example", "x-forwarded-host": "evil.example" },
    });

    expect(text).not.toContain("evil");
  });

  test("names the address listened on where the audience is no URL", async () => {
    const { gateway } = await startAuthRig({ oidc: { audience: "vmcp" } });

    const { text } = await sendRaw(`${originOf(gateway)}${METADATA}/mcp`);

    expect(JSON.parse(text)).toMatchObject({ resource: gateway.url });
  });

  test("is found below the path that a proxy serves the endpoint at", async () => {
    const { gateway } = await startAuthRig({
      oidc: { resource: "https://mcp.example/team/tools" },
    });

    const { status } = await sendRaw(`${originOf(gateway)}${METADATA}/team/tools`);

    expect(status).toBe(200);
  });

  test("is not there where nobody issues tokens", async () => {
    await using gateway = await startKnobs(NOWHERE);

    expect(await sendTarget(gateway.url, "GET", METADATA)).toBe(404);
  });
});

describe.each(CLIENTS)("with the client of %s", (_name, connect) => {
  test("whoever has a token is served", async () => {
    const { gateway, as } = await startAuthRig();

    await using client = await connect(gateway.url, { headers: await as("alice") });

    expect(await client.toolNames()).toContain("echo");
  });

  test("whoever has none is not", async () => {
    const { gateway, backend } = await startAuthRig();

    await expect(connect(gateway.url)).rejects.toThrow("Error POSTing to endpoint");

    expect(backend.sessions).toEqual([]);
  });
});

test.for([
  ["a token that its issuer did not sign", "x.y.z"],
  ["nothing but dots", ".".repeat(12_000)],
] as const)("%s is refused with an error in the challenge [auth A12]", async ([, token]) => {
  const { gateway } = await startAuthRig();

  const answer = await postMessage(gateway.url, INITIALIZE, bearer(token));

  expect(answer.status).toBe(401);
  expect(answer.headers["www-authenticate"]).toContain('error="invalid_token"');
});

test("a token in the address is refused, and appears in no log [auth A26]", async () => {
  const lines: string[] = [];
  const { provider } = await startAuthRig();
  const token = await provider.sign(rightClaims(provider));
  const logFile = auditFile();
  await using vmcp = await createVmcp(
    {
      ...NOWHERE,
      server: { port: 0 },
      audit: { enabled: true, logFile },
      incomingAuth: { type: "oidc", oidc: oidcFor(provider) },
    },
    { logger: loggerInto(lines) },
  );
  const url = await vmcp.listen();

  const inAddress = await postMessage(`${url}?access_token=${token}`, INITIALIZE);
  const inHeader = await postMessage(url, INITIALIZE, bearer(token));

  expect([inAddress.status, inHeader.status]).toEqual([401, 200]);
  expect(inAddress.headers["www-authenticate"]).toContain('error="invalid_token"');
  const written = [lines.join("\n"), JSON.stringify(readAudit(logFile))].join("\n");
  for (const part of token.split(".")) expect(written).not.toContain(part);
});

function loggerInto(lines: string[]): Logger {
  const write = (message: string, fields?: object): void => {
    lines.push(`${message} ${JSON.stringify(fields)}`);
  };
  return { debug: write, info: write, warn: write, error: write };
}

test("what is refused for its proof is recorded with its reason, and without the proof", async () => {
  const logFile = auditFile();
  const { gateway } = await startAuthRig({ config: { audit: { enabled: true, logFile } } });

  await postMessage(gateway.url, INITIALIZE, bearer("CANARY.CANARY.CANARY"));

  const denied = readAudit(logFile).filter(({ type }) => type === "request_denied");
  expect(denied).toMatchObject([
    {
      outcome: "denied",
      metadata: { extra: { error_kind: "unauthorized", reason: "the token is not valid" } },
    },
  ]);
  expect(JSON.stringify(denied)).not.toContain("CANARY");
});

test("a client's token never reaches a backend", async () => {
  const { gateway, backend, provider } = await startAuthRig();
  const token = await provider.sign(rightClaims(provider));
  const session = await openRawSession(gateway.url, { headers: bearer(token) });

  await session.request("tools/call", { name: "echo", arguments: { text: "hello" } });

  const received = JSON.stringify([backend.ledger.calls, backend.ledger.initializes]);
  expect(received).toContain("hello");
  for (const part of token.split(".")) expect(received).not.toContain(part);
});

test("an issuer that is away is no reason to send clients to sign in again [F38]", async () => {
  const { gateway, provider, as } = await startAuthRig();
  const headers = await as("alice");
  await provider.pause();

  const answer = await postMessage(gateway.url, INITIALIZE, headers);

  expect(answer.status).toBe(503);
  expect(answer.headers["retry-after"]).toBe("2");
  expect(answer.headers["www-authenticate"]).toBeUndefined();
});

describe("clients of 2024-11-05", () => {
  test("prove themselves with the stream and with each message [auth A1]", async () => {
    const { gateway, as } = await startAuthRig({ config: { server: { legacySse: true } } });
    const origin = originOf(gateway);
    const [alice, bob] = [await as("alice"), await as("bob")];
    const stream = await startRaw(`${origin}/sse`, {
      headers: { ...alice, accept: "text/event-stream" },
    });
    await expect.poll(() => stream.events).toHaveLength(1);
    const address = `${origin}${stream.events[0] ?? ""}`;

    const own = await postMessage(address, INITIALIZE, alice);
    const foreign = await postMessage(address, INITIALIZE, bob);
    const nobody = await postMessage(address, INITIALIZE);

    expect([own.status, foreign.status, nobody.status]).toEqual([202, 404, 401]);
    stream.destroy();
  });
});

describe("keys", () => {
  const sha256 = createHash("sha256").update(KEY).digest("hex");
  const incomingAuth = {
    type: "apiKey",
    apiKey: { keys: [{ id: "k1", sha256, subject: "alice" }] },
  } as const satisfies VmcpConfigInput["incomingAuth"];

  test.for([
    [{ authorization: `Bearer ${KEY}` }, 200],
    [{ "x-api-key": KEY }, 200],
    [{ "x-api-key": "other" }, 401],
    [{}, 401],
  ] as const)("%j is answered %i", async ([headers, expected]) => {
    await using gateway = await startKnobs({ ...NOWHERE, incomingAuth });

    const answer = await postMessage(gateway.url, INITIALIZE, headers);

    expect(answer.status).toBe(expected);
  });

  test("a key that a reload takes away is refused from the next request on", async () => {
    await using gateway = await startKnobs({ ...NOWHERE, incomingAuth });
    const session = await openRawSession(gateway.url, { headers: { "x-api-key": KEY } });
    const other = { id: "k2", secret: "bob-0123456789abcdef", subject: "bob" };

    const report = await gateway.vmcp.reload({
      ...NOWHERE,
      incomingAuth: { type: "apiKey", apiKey: { keys: [other] } },
    });
    const answer = await session.post(LIST);

    expect(report.changes).toContainEqual({ kind: "setting_changed", path: "incomingAuth" });
    expect(answer.status).toBe(401);
  });

  test("neither a key nor its hash is shown by the status page", async () => {
    await using gateway = await startKnobs({ ...NOWHERE, incomingAuth });

    const { text } = await sendRaw(`${originOf(gateway)}/status?config`, {
      headers: { "x-api-key": KEY },
    });

    expect(text).toContain("incomingAuth");
    expect(text).not.toContain(KEY);
    expect(text).not.toContain(sha256);
  });
});

describe("users of this machine", () => {
  const local = { ...NOWHERE, incomingAuth: { type: "local" } } as const;

  test("are known by who owns their end of the connection", async () => {
    await using gateway = await startKnobs(local);

    const session = await openRawSession(gateway.url);

    expect(gateway.vmcp.sessions.getMultiSession(session.id)?.identity).toMatchObject({
      issuer: "vmcp:local",
    });
    expect((await session.post(LIST)).status).toBe(200);
  });

  test("are refused where they present a proof [auth A24]", async () => {
    await using gateway = await startKnobs(local);

    const answer = await postMessage(gateway.url, INITIALIZE, bearer("x"));

    expect(answer.status).toBe(401);
  });

  // Only the superuser can be somebody else.
  const canChangeUser = process.platform === "linux" && process.getuid?.() === 0;

  test.runIf(canChangeUser)("do not get each other's sessions [auth A25]", async () => {
    await using gateway = await startKnobs(local);
    const session = await openRawSession(gateway.url);

    const own = await askAs(0, gateway.url, session.id);
    const foreign = await askAs(65_534, gateway.url, session.id);

    expect([own, foreign]).toEqual(["200", "404"]);
  });
});

/** The status of a request that another process sends, of this user. */
async function askAs(uid: number, url: string, sessionId: string): Promise<string> {
  const script = `fetch(process.argv[1], { method: "POST", body: process.argv[2], headers: {
    "content-type": "application/json", accept: "application/json, text/event-stream",
    "mcp-session-id": process.argv[3] } }).then(({ status }) => console.log(status))`;
  const child = spawn(process.execPath, ["-e", script, url, JSON.stringify(LIST), sessionId], {
    uid,
    cwd: "/",
    stdio: ["ignore", "pipe", "inherit"],
  });
  return (await readText(child.stdout)).trim();
}

describe("an anonymous gateway", () => {
  test("refuses who presents a token, in a session too [auth A24]", async () => {
    await using gateway = await startKnobs(NOWHERE);
    const session = await openRawSession(gateway.url);

    const opening = await postMessage(gateway.url, INITIALIZE, bearer("x"));
    const inSession = await postMessage(gateway.url, LIST, { ...session.headers, ...bearer("x") });

    expect([opening.status, inSession.status]).toEqual([401, 401]);
    expect((await session.post(LIST)).status).toBe(200);
  });
});

describe("pages of other sites", () => {
  const origin = "https://app.example";
  const preflight = { origin, "access-control-request-method": "POST" };

  test.for([
    ["a preflight", "OPTIONS", preflight],
    ["a request with credentials", "POST", { origin, cookie: "a=b" }],
    ["a request from nowhere", "POST", { origin: "null" }],
  ] as const)("get no leave to read for %s [auth A27]", async ([, method, headers]) => {
    const { gateway, as } = await startAuthRig();

    const answer = await sendRaw(gateway.url, {
      method,
      headers: { ...headers, ...(await as("alice")) },
    });

    expect(answer.status).toBe(403);
    expect(answer.headers["access-control-allow-origin"]).toBeUndefined();
    expect(answer.headers["access-control-allow-credentials"]).toBeUndefined();
  });

  test("that are listed may send a token, and read why they are refused [auth A27]", async () => {
    const { gateway } = await startAuthRig({ config: { server: { allowedOrigins: [origin] } } });

    const allowed = await sendRaw(gateway.url, { method: "OPTIONS", headers: preflight });
    const refused = await postMessage(gateway.url, INITIALIZE, { origin });

    expect(allowed.headers["access-control-allow-headers"]).toContain("authorization");
    expect(refused.status).toBe(401);
    expect(refused.headers["access-control-allow-origin"]).toBe(origin);
    expect(refused.headers["access-control-expose-headers"]).toContain("www-authenticate");
  });
});

describe("whoever guesses", () => {
  test("session ids gets 404, then 429, while those who have a session go on [auth A8]", async () => {
    const { gateway, as } = await startAuthRig({
      config: { limits: { failedRequestsPerMinute: 20 } },
    });
    const headers = await as("alice");
    const session = await openRawSession(gateway.url, { headers });
    const guess = async (): Promise<number> => {
      const id = crypto.randomUUID();
      return (await postMessage(gateway.url, LIST, { ...headers, "mcp-session-id": id })).status;
    };

    const statuses: number[] = [];
    for (let count = 0; count < 30; count += 1) {
      // One after the other, as somebody guesses who learns from answers.
      // oxlint-disable-next-line no-await-in-loop
      statuses.push(await guess());
    }

    expect(statuses.slice(0, 20)).toEqual(Array.from({ length: 20 }, () => 404));
    expect(statuses.slice(-5)).toEqual([429, 429, 429, 429, 429]);
    expect((await session.post(LIST)).status).toBe(200);
  });

  test("proofs is no longer listened to, and told for how long [auth A8]", async () => {
    const { gateway, as } = await startAuthRig({
      config: { limits: { failedRequestsPerMinute: 2 } },
    });
    const known = await as("alice");
    await openRawSession(gateway.url, { headers: known });
    for (let count = 0; count < 3; count += 1) {
      // oxlint-disable-next-line no-await-in-loop
      await postMessage(gateway.url, INITIALIZE, bearer("x.y.z"));
    }

    const unknown = await postMessage(gateway.url, INITIALIZE, await as("bob"));
    const remembered = await postMessage(gateway.url, INITIALIZE, known);

    expect([unknown.status, remembered.status]).toEqual([429, 200]);
    expect(unknown.headers["retry-after"]).toBe("30");
    expect(JSON.parse(unknown.text)).toMatchObject({ error: { code: 429 } });
  });
});

test("a reload from keys to tokens takes effect with the next request, and the endpoint stays", async () => {
  await using provider = await IdentityProvider.start();
  await using backend = await startHttpLedger();
  const backends = [{ name: "b1", url: backend.url }];
  await using gateway = await startKnobs({ backends, incomingAuth: { type: "anonymous" } });
  const session = await openRawSession(gateway.url);

  await gateway.vmcp.reload({ backends, incomingAuth: { type: "oidc", oidc: oidcFor(provider) } });
  const without = await session.post(LIST);
  const token = bearer(await provider.sign(rightClaims(provider)));
  const foreign = await postMessage(gateway.url, LIST, { ...session.headers, ...token });
  const own = await openRawSession(gateway.url, { headers: token });

  expect([without.status, foreign.status]).toEqual([401, 404]);
  expect((await own.post(LIST)).status).toBe(200);
});

describe("a tool that needs a scope", () => {
  const toolScopes = { whoami: ["mcp:admin"] };
  const call = (name: string): JsonObject => ({
    jsonrpc: "2.0",
    id: 8,
    method: "tools/call",
    params: { name, arguments: { text: "x" } },
  });

  test("is listed to everybody, and refused with all that is needed to who lacks it [auth A10]", async () => {
    const { gateway, as, backend } = await startAuthRig({
      oidc: { scopes: ["mcp:read"] },
      incomingAuth: { toolScopes },
    });
    const session = await openRawSession(gateway.url, { headers: await as("alice", "mcp:read") });

    const list = await session.post(LIST);
    const refused = await session.post(call("whoami"));
    const other = await session.post(call("echo"));

    expect(list.text).toContain("whoami");
    expect(refused.status).toBe(403);
    expect(JSON.parse(refused.text)).toMatchObject({ id: 8, error: { code: 403 } });
    expect(refused.headers["www-authenticate"]).toBe(
      `Bearer error="insufficient_scope", resource_metadata="https://mcp.example${METADATA}/mcp", scope="mcp:read mcp:admin"`,
    );
    expect(other.status).toBe(200);
    expect(backend.ledger.calls).toHaveLength(1);
  });

  test("is called in the same session with a proof that has it [auth A10]", async () => {
    const { gateway, as } = await startAuthRig({ incomingAuth: { toolScopes } });
    const session = await openRawSession(gateway.url, { headers: await as("alice", "mcp:read") });
    const more = await as("alice", "mcp:read mcp:admin");

    const answer = await postMessage(gateway.url, call("whoami"), { ...session.headers, ...more });

    expect(answer.status).toBe(200);
    expect(answer.text).toContain("result");
  });

  test("is refused within a batch too", async () => {
    const { gateway, as, backend } = await startAuthRig({ incomingAuth: { toolScopes } });
    const session = await openRawSession(gateway.url, {
      revision: "2025-03-26",
      headers: await as("alice", "mcp:read"),
    });

    const answer = await session.post(JSON.stringify([call("whoami")]));

    expect(answer.text).toContain("403");
    expect(backend.ledger.calls).toEqual([]);
  });
});

test("a CA bundle that changed alone is read anew by a reload", async () => {
  const folder = mkdtempSync(join(tmpdir(), "vmcp-auth-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const caBundlePath = join(folder, "ca.pem");
  writeFileSync(caBundlePath, "");
  const { provider } = await startAuthRig();
  const keys = await (await fetch(`${provider.issuer}/jwks`)).text();
  const jwksUrl = await serveTls(keys);
  const oidc = { ...oidcFor(provider), jwksUrl, caBundlePath };
  const config = { ...NOWHERE, incomingAuth: { type: "oidc", oidc } } as const;
  await using gateway = await startKnobs(config);
  const token = bearer(await provider.sign(rightClaims(provider)));

  const before = await postMessage(gateway.url, INITIALIZE, token);
  writeFileSync(caBundlePath, AUTHORITY);
  await gateway.vmcp.reload(config);
  const after = await postMessage(gateway.url, INITIALIZE, token);

  expect([before.status, after.status]).toEqual([503, 200]);
});

/** Answers everything with that text, over TLS by the authority of the tests. */
async function serveTls(text: string): Promise<string> {
  const options = { cert: GOOD_CERTIFICATE, key: CERTIFICATE_KEY };
  const server = createServer(options, (_request, response) => response.end(text));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  // A listening TCP server has an address of this shape.
  return `https://127.0.0.1:${String((server.address() as AddressInfo).port)}/jwks`;
}
