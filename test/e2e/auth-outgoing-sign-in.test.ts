import { describe, expect, test } from "vitest";
import type { VmcpConfigInput } from "../../src/config/load-config.ts";
import type { VmcpError } from "../../src/domain/errors.ts";
import { ANONYMOUS, type Identity } from "../../src/domain/identity.ts";
import type { Vmcp } from "../../src/app/vmcp.ts";
import type { EdgeSession } from "../../src/session/edge-session.ts";
import { AuthorizationServer } from "../support/authorization-server.ts";
import { startGateway } from "../support/gateway.ts";
import { openRawSession } from "../support/raw-client.ts";
import { type HttpLedger, startHttpLedger } from "../support/ledger-backend.ts";

const ALICE: Identity = { kind: "verified", issuer: "https://issuer.example", subject: "alice" };
const BOB: Identity = { ...ALICE, subject: "bob" };

/** For polls: how long a busy machine may take. */

function configOf(backend: HttpLedger, more: object = {}): VmcpConfigInput {
  return {
    backends: [{ name: "b1", url: backend.url }],
    outgoingAuth: { backends: { b1: { type: "oauth", ...more } } },
  };
}

/** A session of a client that opens links for its user. */
async function openSession(vmcp: Vmcp, identity: Identity): Promise<EdgeSession> {
  const id = await vmcp.sessions.generate(identity);
  const client = {
    revision: "2025-11-25",
    capabilities: { elicitation: { url: {} } },
    info: { name: "browser-client" },
  };
  return vmcp.sessions.createSession(id, { identity, client });
}

/** The link in the error that a session's backend failed with. */
function linkOf(session: EdgeSession): string {
  const [standing] = session.backends();
  return linkIn(standing?.failure?.data);
}

function linkIn(data: unknown): string {
  // What the protocol wants in the data of this error.
  const known = data as { elicitations?: readonly { url: string }[] } | undefined;
  const [elicitation] = known?.elicitations ?? [];
  if (elicitation === undefined) throw new Error("nobody is asked to sign in");
  return elicitation.url;
}

/** What a browser does that opens the link: it keeps cookies and follows redirects to the end. */
async function browse(link: string, cookies = new Map<string, string>()): Promise<Response> {
  const answer = await fetch(link, {
    redirect: "manual",
    headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join("; ") },
  });
  for (const cookie of answer.headers.getSetCookie()) {
    const [name = "", value = ""] = cookie.split(";", 1)[0]?.split("=") ?? [];
    cookies.set(name, value);
  }
  const location = answer.headers.get("location");
  return location === null ? answer : browse(location, cookies);
}

async function ready(session: EdgeSession): Promise<void> {
  await expect.poll(() => session.backends()[0]?.phase).toBe("ready");
}

describe("a backend that users sign in to", () => {
  test("is used with each user's own token once that user has signed in", async () => {
    await using server = await AuthorizationServer.start();
    await using backend = await startHttpLedger();
    server.protect(backend);
    await using gateway = await startGateway(configOf(backend));
    const alice = await openSession(gateway.vmcp, ALICE);
    const bob = await openSession(gateway.vmcp, BOB);

    const page = await browse(linkOf(alice));
    await ready(alice);
    server.user = "bob";
    await browse(linkOf(bob));
    await ready(bob);
    await alice.callTool("echo", {});
    await bob.callTool("echo", {});

    expect([page.status, await page.text()]).toEqual([
      200,
      "You are signed in to b1. You can close this window.\n",
    ]);
    expect(backend.ledger.calls.map(({ headers }) => headers.authorization)).toEqual([
      "Bearer ACCESS-1-of-alice",
      "Bearer ACCESS-2-of-bob",
    ]);
  });

  test("is signed in to by code with PKCE, for the backend alone, as a client that registered itself", async () => {
    await using server = await AuthorizationServer.start();
    await using backend = await startHttpLedger();
    server.protect(backend, { scope: "read write" });
    await using gateway = await startGateway(configOf(backend));
    const callback = new URL("/oauth/callback", gateway.url).href;

    await browse(linkOf(await openSession(gateway.vmcp, ALICE)));

    expect(server.registrations).toMatchObject([
      { client_name: "vmcp", redirect_uris: [callback], token_endpoint_auth_method: "none" },
    ]);
    expect(Object.fromEntries(server.authorizations[0] ?? [])).toMatchObject({
      response_type: "code",
      client_id: "client-1",
      redirect_uri: callback,
      code_challenge_method: "S256",
      resource: backend.url,
      scope: "read write",
    });
    expect(Object.fromEntries(server.tokenRequests[0] ?? [])).toMatchObject({
      grant_type: "authorization_code",
      resource: backend.url,
      redirect_uri: callback,
    });
  });

  test("sends whoever has not signed in to a page, by the error that the protocol has for it", async () => {
    await using server = await AuthorizationServer.start();
    await using backend = await startHttpLedger();
    server.protect(backend, { isOpenToLists: true });
    await using gateway = await startGateway(configOf(backend));
    const session = await openSession(gateway.vmcp, ALICE);

    const failure = await session.callTool("echo", {}).catch((error: unknown) => error);

    const link = expect.stringContaining("/oauth/start?ticket=");
    expect(failure).toMatchObject({
      code: "sign_in_required",
      backend: "b1",
      executionState: "not_executed",
      data: { elicitations: [{ mode: "url", url: link, elicitationId: expect.any(String) }] },
    });
    expect(session.tools.length).toBeGreaterThan(0);
  });

  test("tells a client that opens no links in words", async () => {
    await using server = await AuthorizationServer.start();
    await using backend = await startHttpLedger();
    server.protect(backend, { isOpenToLists: true });
    await using gateway = await startGateway(configOf(backend));
    const session = await gateway.vmcp.openSession(ANONYMOUS);

    const failure = await session.callTool("echo", {}).catch((error: unknown) => error);

    expect(failure).toMatchObject({ code: "backend_auth", executionState: "not_executed" });
    expect(String(failure)).toContain("needs you to sign in at http://127.0.0.1:");
  });

  test("keeps its tools listed for a user whose sign-in has ended", async () => {
    await using server = await AuthorizationServer.start();
    await using backend = await startHttpLedger();
    server.protect(backend);
    await using gateway = await startGateway(configOf(backend));
    const session = await openSession(gateway.vmcp, ALICE);
    await browse(linkOf(session));
    await ready(session);
    server.good.clear();
    server.refusesRefresh = true;

    const failure = await session.callTool("echo", {}).catch((error: unknown) => error);
    const [later, stranger] = [
      await openSession(gateway.vmcp, ALICE),
      await openSession(gateway.vmcp, BOB),
    ];

    expect(failure).toMatchObject({ code: "sign_in_required" });
    expect(later.tools.length).toBeGreaterThan(0);
    expect(later.backends()).toMatchObject([{ failure: { code: "sign_in_required" } }]);
    expect(stranger.tools).toEqual([]);
  });

  test("has its user sign in once more for what needs more, keeping what was had", async () => {
    await using server = await AuthorizationServer.start();
    await using backend = await startHttpLedger();
    server.protect(backend);
    await using gateway = await startGateway(configOf(backend));
    const session = await openSession(gateway.vmcp, ALICE);
    await browse(linkOf(session));
    await ready(session);
    backend.interceptWith((request, _body, response) => {
      if (request.headers.authorization !== "Bearer ACCESS-1-of-alice") return false;
      const challenge = 'Bearer error="insufficient_scope", scope="admin"';
      response.writeHead(403, { "www-authenticate": challenge }).end();
      return true;
    });

    const failure = await session.callTool("echo", {}).catch((error: unknown) => error);
    // A call fails with nothing else.
    await browse(linkIn((failure as VmcpError).data));
    await session.callTool("echo", {});

    expect(failure).toMatchObject({ code: "sign_in_required" });
    expect(server.authorizations.map((query) => query.get("scope"))).toEqual(["use", "admin use"]);
    expect(backend.ledger.calls.map(({ headers }) => headers.authorization)).toEqual([
      "Bearer ACCESS-2-of-alice",
    ]);
  });

  test("has its user sent for more by one link, however often more is needed", async () => {
    await using server = await AuthorizationServer.start();
    await using backend = await startHttpLedger();
    server.protect(backend);
    await using gateway = await startGateway(configOf(backend));
    const session = await openSession(gateway.vmcp, ALICE);
    await browse(linkOf(session));
    await ready(session);
    let scope = "admin";
    backend.interceptWith((_request, _body, response) => {
      const challenge = `Bearer error="insufficient_scope", scope="${scope}"`;
      response.writeHead(403, { "www-authenticate": challenge }).end();
      return true;
    });
    // A call fails with nothing else.
    const link = async (): Promise<unknown> =>
      session.callTool("echo", {}).catch((error: unknown) => linkIn((error as VmcpError).data));

    const links = [await link(), await link()];
    scope = "admin owner";
    links.push(await link());

    expect(links[1]).toBe(links[0]);
    expect(links[2]).not.toBe(links[0]);
  });

  test("has its tokens renewed ahead of their end, and again where they are refused [rfc R23]", async () => {
    await using server = await AuthorizationServer.start();
    await using backend = await startHttpLedger();
    server.protect(backend);
    await using gateway = await startGateway(configOf(backend));
    const session = await openSession(gateway.vmcp, ALICE);
    // Less than a minute is left from the start, so that the first use renews it.
    server.lifetimeSeconds = 30;
    await browse(linkOf(session));
    server.lifetimeSeconds = 3_600;
    await ready(session);
    const renewed = server.tokenRequests.map((form) => form.get("grant_type"));
    server.good.delete("ACCESS-2-of-alice");

    await Promise.all([session.callTool("echo", {}), session.callTool("echo", {})]);

    expect(renewed).toEqual(["authorization_code", "refresh_token"]);
    expect(server.tokenRequests.map((form) => form.get("refresh_token"))).toEqual([
      null,
      "REFRESH-1-of-alice",
      "REFRESH-2-of-alice",
    ]);
    expect(backend.ledger.calls.map(({ headers }) => headers.authorization)).toEqual([
      "Bearer ACCESS-3-of-alice",
      "Bearer ACCESS-3-of-alice",
    ]);
  });
});

describe("a client over HTTP", () => {
  const URL_CLIENT = { capabilities: { elicitation: { url: {} } } };

  test("that opens links is told by the protocol's own error", async () => {
    await using server = await AuthorizationServer.start();
    await using backend = await startHttpLedger();
    server.protect(backend, { isOpenToLists: true });
    await using gateway = await startGateway(configOf(backend));
    const session = await openRawSession(gateway.url, URL_CLIENT);

    const answer = await session.request("tools/call", { name: "echo", arguments: {} });

    const link = expect.stringMatching(
      /^http:\/\/127\.0\.0\.1:\d+\/oauth\/start\?ticket=[\w-]{32}$/,
    );
    expect(answer).toMatchObject({
      error: {
        code: -32_042,
        data: {
          kind: "sign_in_required",
          backend: "b1",
          elicitations: [{ mode: "url", url: link, elicitationId: expect.any(String) }],
        },
      },
    });
  });

  test("hears at its start that a backend waits for its user, although others work", async () => {
    await using server = await AuthorizationServer.start();
    await using backend = await startHttpLedger();
    await using other = await startHttpLedger();
    server.protect(backend);
    await using gateway = await startGateway({
      ...configOf(backend),
      backends: [
        { name: "b1", url: backend.url },
        { name: "b2", url: other.url },
      ],
    });

    const session = await openRawSession(gateway.url);

    expect(session.initializeAnswer.text).toContain(
      'Backend \\"b1\\" needs you to sign in at http://127.0.0.1:',
    );
  });
});

describe("what a browser brings back from signing in", () => {
  const FORGED = "https://evil.example";

  test.for<[string, Readonly<Record<string, string | undefined>>]>([
    ["of another issuer", { iss: FORGED }],
    ["of no issuer, where the server says that it names itself", { iss: undefined }],
    ["with another state", { state: "forged" }],
    [
      "that is an error",
      { code: undefined, error: "access_denied", error_description: "<b>X</b>" },
    ],
  ])("%s is refused, and nothing of it is shown [auth A28]", async ([, callback]) => {
    await using server = await AuthorizationServer.start();
    await using backend = await startHttpLedger();
    server.protect(backend);
    await using gateway = await startGateway(configOf(backend));
    const session = await openSession(gateway.vmcp, ALICE);
    server.callback = callback;

    const page = await browse(linkOf(session));

    expect(page.status).toBe(400);
    expect(await page.text()).toMatch(/^(?:This sign-in was not begun|Signing in did not work)/);
    expect(server.tokenRequests).toEqual([]);
    expect(session.backends()).toMatchObject([{ phase: "failed" }]);
  });

  test("is good once, and in the browser that began it only", async () => {
    await using server = await AuthorizationServer.start();
    await using backend = await startHttpLedger();
    server.protect(backend);
    await using gateway = await startGateway(configOf(backend));
    const session = await openSession(gateway.vmcp, ALICE);
    const begun = await fetch(linkOf(session), { redirect: "manual" });
    const away = await fetch(begun.headers.get("location") ?? "", { redirect: "manual" });
    const back = away.headers.get("location") ?? "";
    const cookie = begun.headers.getSetCookie()[0]?.split(";", 1)[0] ?? "";

    const other = await fetch(back);
    const own = await fetch(back, { headers: { cookie } });
    const again = await fetch(back, { headers: { cookie } });

    expect([other.status, own.status, again.status]).toEqual([400, 200, 400]);
    expect(server.tokenRequests).toHaveLength(1);
  });

  test("is not asked for at a server without PKCE, nor at one that names another issuer", async () => {
    await using server = await AuthorizationServer.start();
    await using backend = await startHttpLedger();
    server.protect(backend);
    await using gateway = await startGateway(configOf(backend));
    const failures: (VmcpError | undefined)[] = [];

    for (const metadata of [{ code_challenge_methods_supported: ["plain"] }, { issuer: FORGED }]) {
      server.metadata = metadata;
      const session = await openSession(gateway.vmcp, ALICE);
      failures.push(session.backends()[0]?.failure);
    }

    const failureThat = (sentence: string): object => ({
      code: "backend_auth",
      message: expect.stringContaining(`its authorization server ${sentence}`),
    });
    expect(failures).toMatchObject([
      failureThat("does not say that it supports PKCE with S256"),
      failureThat("says something else of itself"),
    ]);
    expect(server.registrations).toEqual([]);
  });
});

describe("upstream_inject", () => {
  test("shows a backend the token of a sign-in to another one", async () => {
    await using server = await AuthorizationServer.start();
    await using backend = await startHttpLedger();
    await using second = await startHttpLedger({ name: "second" });
    server.protect(backend);
    await using gateway = await startGateway({
      backends: [
        { name: "b1", url: backend.url },
        { name: "b2", url: second.url },
      ],
      aggregation: { conflictResolution: "prefix" },
      outgoingAuth: {
        backends: {
          b1: { type: "oauth" },
          b2: { type: "upstream_inject", providerName: "b1" },
        },
      },
    });
    const session = await openSession(gateway.vmcp, ALICE);
    const before = session.backends().map(({ failure }) => failure?.code);
    await browse(linkOf(session));
    await ready(session);

    const later = await openSession(gateway.vmcp, ALICE);
    await later.callTool("b2_echo", {});

    expect(before).toEqual(["sign_in_required", "sign_in_required"]);
    expect(second.ledger.calls.map(({ headers }) => headers.authorization)).toEqual([
      "Bearer ACCESS-1-of-alice",
    ]);
  });
});
