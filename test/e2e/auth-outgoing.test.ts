import type { ServerResponse } from "node:http";
import { describe, expect, test } from "vitest";
import type { VmcpConfigInput } from "../../src/config/load-config.ts";
import { BearerToken } from "../../src/domain/bearer-token.ts";
import type { Identity } from "../../src/domain/identity.ts";
import type { EdgeSession } from "../../src/session/edge-session.ts";
import { startGateway } from "../support/gateway.ts";
import { noncesOf } from "../support/ledger.ts";
import { type HttpLedger, startHttpLedger } from "../support/ledger-backend.ts";
import { ScriptedTokenEndpoint, type TokenAnswer } from "../support/token-endpoint.ts";

/** A user whom an identity provider has let in with a token of that text. */
function user(subject: string, token = `CLIENT-TOKEN-of-${subject}`): Identity {
  const issuer = "https://issuer.example";
  return { kind: "verified", issuer, subject, token: new BearerToken(token) };
}

/** For polls: how long a busy machine may take. */

/** A backend with one tool of its own. */
const OTHER = {
  hasBuiltInTools: false,
  tools: [JSON.stringify({ name: "other", inputSchema: { type: "object" } })],
  results: new Map([["other", '{"content":[]}']]),
};

const ALICE = user("alice");
const BOB = user("bob");

function configOf(backend: HttpLedger, tokenUrl: string): VmcpConfigInput {
  return {
    backends: [{ name: "b1", url: backend.url }],
    outgoingAuth: {
      backends: { b1: { type: "token_exchange", tokenUrl, audience: "b1", scopes: ["use"] } },
    },
  };
}

/** What the requests of one kind carried, oldest first. */
function authorizations({ ledger }: HttpLedger, method: string): readonly (string | undefined)[] {
  return ledger.messages
    .filter((message) => message.method === method)
    .map(({ headers }) => headers.authorization);
}

function byText(left: readonly unknown[], right: readonly unknown[]): number {
  return String(left[0]).localeCompare(String(right[0]));
}

async function echo(session: EdgeSession, text: string): Promise<unknown> {
  const { content } = await session.callTool("echo", { text });
  return content;
}

/** The backend refuses these tokens from now on. */
function refuse(backend: HttpLedger, tokens: readonly string[], status = 401): void {
  backend.interceptWith((request, _body, response) => {
    const token = request.headers.authorization?.replace("Bearer ", "") ?? "";
    if (!tokens.includes(token)) return false;
    response.writeHead(status, { "www-authenticate": 'Bearer error="invalid_token"' }).end();
    return true;
  });
}

describe("a backend that tokens are exchanged for", () => {
  test("gets one token for all calls in its lifetime [A11]", async () => {
    await using tokens = await ScriptedTokenEndpoint.start();
    await using backend = await startHttpLedger();
    await using gateway = await startGateway(configOf(backend, tokens.url));
    const session = await gateway.vmcp.openSession(ALICE);

    for (let call = 1; call <= 10; call += 1) await echo(session, `call ${call}`);

    expect(tokens.asked.map(({ form }) => form)).toEqual([
      {
        grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
        subject_token: "CLIENT-TOKEN-of-alice",
        subject_token_type: "urn:ietf:params:oauth:token-type:access_token",
        requested_token_type: "urn:ietf:params:oauth:token-type:access_token",
        audience: "b1",
        scope: "use",
      },
    ]);
    expect(new Set(authorizations(backend, "tools/call"))).toEqual(new Set(["Bearer token-1"]));
    expect(backend.ledger.calls).toHaveLength(10);
  });

  test("gets a token of its own for each user, and never the client's own [auth A21]", async () => {
    await using tokens = await ScriptedTokenEndpoint.start();
    await using backend = await startHttpLedger();
    await using gateway = await startGateway(configOf(backend, tokens.url));
    tokens.answer = ({ form }) => ({
      body: tokens.nextToken({ access_token: form["subject_token"]?.replace("CLIENT-", "") }),
    });
    const [alice, bob] = [
      await gateway.vmcp.openSession(ALICE),
      await gateway.vmcp.openSession(BOB),
    ];

    await Promise.all([echo(alice, "a"), echo(bob, "b"), echo(alice, "c")]);

    const seen = backend.ledger.calls.map(({ argumentsText, headers }) => [
      argumentsText,
      headers.authorization,
    ]);
    expect(seen.toSorted(byText)).toEqual([
      ['{"text":"a"}', "Bearer TOKEN-of-alice"],
      ['{"text":"b"}', "Bearer TOKEN-of-bob"],
      ['{"text":"c"}', "Bearer TOKEN-of-alice"],
    ]);
    expect(tokens.asked).toHaveLength(2);
    expect(JSON.stringify(backend.requests)).not.toContain("CLIENT-");
  });

  test("is shown other credentials at once when it refuses those it gets [rfc R22]", async () => {
    await using tokens = await ScriptedTokenEndpoint.start();
    await using backend = await startHttpLedger();
    await using gateway = await startGateway(configOf(backend, tokens.url));
    const session = await gateway.vmcp.openSession(ALICE);
    refuse(backend, ["token-1"]);

    const content = await echo(session, "hello");

    expect(content).toMatchObject([{ type: "text" }]);
    expect(backend.ledger.calls.map(({ headers }) => headers.authorization)).toEqual([
      "Bearer token-2",
    ]);
    expect(tokens.asked).toHaveLength(2);
  });

  test("may say as much as it likes with its refusal, or break off, and is asked again all the same", async () => {
    await using tokens = await ScriptedTokenEndpoint.start();
    await using backend = await startHttpLedger();
    await using gateway = await startGateway(configOf(backend, tokens.url));
    const session = await gateway.vmcp.openSession(ALICE);
    backend.interceptWith(({ headers }, _body, response) => {
      if (headers.authorization !== "Bearer token-1") return false;
      response.writeHead(401).write("x".repeat(200_000), () => response.destroy());
      return true;
    });

    await echo(session, "hello");

    expect(backend.ledger.calls).toHaveLength(1);
    expect(tokens.asked).toHaveLength(2);
  });

  test("keeps what it lists to one user from another after a reload that failed", async () => {
    await using tokens = await ScriptedTokenEndpoint.start();
    await using backend = await startHttpLedger();
    const config = configOf(backend, tokens.url);
    await using gateway = await startGateway(config);
    const alice = await gateway.vmcp.openSession(ALICE);
    const broken = { name: "b2", url: "https://127.0.0.1:1/mcp", caBundlePath: "/nonexistent.pem" };

    const reloading = gateway.vmcp.reload({ backends: [{ name: "b1", url: backend.url }, broken] });
    await expect(reloading).rejects.toMatchObject({ code: "invalid_config" });
    backend.interceptWith((_request, _body, response) => {
      response.writeHead(503).end();
      return true;
    });
    const bob = await gateway.vmcp.openSession(BOB);

    expect(alice.tools.length).toBeGreaterThan(0);
    expect(bob.tools).toEqual([]);
  });

  test("need not end what it says with its refusal", async () => {
    await using tokens = await ScriptedTokenEndpoint.start();
    await using backend = await startHttpLedger();
    await using gateway = await startGateway(configOf(backend, tokens.url));
    const session = await gateway.vmcp.openSession(ALICE);
    backend.interceptWith(({ headers }, _body, response) => {
      if (headers.authorization !== "Bearer token-1") return false;
      response.writeHead(401).write("wait for it");
      return true;
    });

    await echo(session, "hello");

    expect(backend.ledger.calls).toHaveLength(1);
  });

  test("that refuses whatever it is shown is told so in an error, and asked for no more", async () => {
    await using tokens = await ScriptedTokenEndpoint.start();
    await using backend = await startHttpLedger();
    await using gateway = await startGateway(configOf(backend, tokens.url));
    const session = await gateway.vmcp.openSession(ALICE);
    backend.interceptWith((_request, _body, response) => {
      response.writeHead(401).end();
      return true;
    });

    const failures = [];
    for (const text of ["one", "two", "three"]) {
      failures.push(await echo(session, text).catch((error: unknown) => error));
    }

    const refused = { code: "backend_auth", backend: "b1", executionState: "not_executed" };
    expect(failures).toMatchObject([refused, refused, refused]);
    expect(tokens.asked).toHaveLength(2);
    expect(backend.ledger.calls).toEqual([]);
  });

  test("hears one refresh for a hundred calls, and no old token after its refusal [R14]", async () => {
    await using tokens = await ScriptedTokenEndpoint.start();
    await using backend = await startHttpLedger();
    await using gateway = await startGateway({
      ...configOf(backend, tokens.url),
      limits: { callsPerSession: 200, callsPerBackend: 200 },
    });
    const session = await gateway.vmcp.openSession(ALICE);
    const carried: unknown[] = [];
    const refused: ServerResponse[] = [];
    backend.interceptWith(({ headers, method }, _body, response) => {
      if (method === "POST") carried.push(headers.authorization);
      if (headers.authorization !== "Bearer token-1") return false;
      refused.push(response);
      // All are under way with the old token before the first one hears of its refusal.
      if (refused.length === 100) for (const each of refused) each.writeHead(401).end();
      return true;
    });
    const nonces = Array.from({ length: 100 }, (_value, index) => `nonce-${String(index)}`);

    await Promise.all(nonces.map(async (nonce) => session.callTool("echo", { nonce })));
    await echo(session, "afterwards");

    expect(tokens.asked).toHaveLength(2);
    expect(carried.slice(0, 100)).toEqual(Array.from({ length: 100 }, () => "Bearer token-1"));
    expect(carried.slice(100)).toEqual(Array.from({ length: 101 }, () => "Bearer token-2"));
    expect(noncesOf(backend.ledger).toSorted()).toEqual(nonces.toSorted());
  });

  test("hears nothing of a call that was given up while its token was asked for", async () => {
    await using tokens = await ScriptedTokenEndpoint.start();
    await using backend = await startHttpLedger();
    await using gateway = await startGateway(configOf(backend, tokens.url));
    const session = await gateway.vmcp.openSession(ALICE);
    refuse(backend, ["token-1"]);
    let give = (_answer: TokenAnswer): void => {};
    tokens.answer = async () =>
      new Promise((resolve) => {
        give = resolve;
      });
    const leaving = new AbortController();
    const call = session.callTool("echo", {}, { signal: leaving.signal });
    await expect.poll(() => tokens.asked.length).toBe(2);

    leaving.abort(new Error("given up"));
    await expect(call).rejects.toThrow("given up");
    give({ body: tokens.nextToken() });
    tokens.answer = () => ({ body: tokens.nextToken() });
    await echo(session, "afterwards");

    expect(backend.ledger.calls.map(({ argumentsText }) => argumentsText)).toEqual([
      '{"text":"afterwards"}',
    ]);
    expect(tokens.asked).toHaveLength(2);
  });

  test("hears nothing of a call that was given up while it was still saying why it refuses", async () => {
    await using tokens = await ScriptedTokenEndpoint.start();
    await using backend = await startHttpLedger();
    await using gateway = await startGateway(configOf(backend, tokens.url));
    const session = await gateway.vmcp.openSession(ALICE);
    let refused = 0;
    backend.interceptWith(({ headers }, _body, response) => {
      if (headers.authorization !== "Bearer token-1") return false;
      response.writeHead(401).write("wait for it");
      refused += 1;
      return true;
    });
    const leaving = new AbortController();
    const call = session.callTool("echo", {}, { signal: leaving.signal });
    await expect.poll(() => refused).toBe(1);

    leaving.abort(new Error("given up"));
    await expect(call).rejects.toThrow("given up");
    await expect.poll(() => tokens.asked.length).toBe(2);
    await echo(session, "afterwards");

    expect(backend.ledger.calls.map(({ argumentsText }) => argumentsText)).toEqual([
      '{"text":"afterwards"}',
    ]);
  });

  test("has its token renewed ahead of its end [rfc R23]", async () => {
    await using tokens = await ScriptedTokenEndpoint.start();
    await using backend = await startHttpLedger();
    // A fifth of its life before its end a token is renewed: for this one that is at once.
    tokens.answer = () => ({
      body: tokens.nextToken({ expires_in: tokens.asked.length === 1 ? 2 : 3_600 }),
    });
    await using gateway = await startGateway(configOf(backend, tokens.url));
    const session = await gateway.vmcp.openSession(ALICE);

    await expect
      .poll(async () => {
        await echo(session, "again");
        return authorizations(backend, "tools/call").at(-1);
      })
      .toBe("Bearer token-2");

    expect(tokens.asked).toHaveLength(2);
    expect(authorizations(backend, "tools/call")).not.toContain(undefined);
  });
});

describe("a token endpoint that fails", () => {
  test("by not answering costs a call no more than its time, and others nothing [F39]", async () => {
    await using tokens = await ScriptedTokenEndpoint.start();
    await using backend = await startHttpLedger();
    await using other = await startHttpLedger(OTHER);
    const { outgoingAuth } = configOf(backend, tokens.url);
    await using gateway = await startGateway({
      backends: [
        { name: "b1", url: backend.url, timeouts: { call: "300ms" } },
        { name: "b2", url: other.url },
      ],
      ...(outgoingAuth && { outgoingAuth }),
    });
    const session = await gateway.vmcp.openSession(ALICE);
    tokens.answer = () => "hang";
    refuse(backend, ["token-1"]);

    const slow = echo(session, "x").catch((error: unknown) => error);
    const beside = await session.callTool("other", {});

    expect(beside).toBeDefined();
    expect(await slow).toMatchObject({ code: "backend_timeout", backend: "b1" });
    expect(backend.ledger.calls).toEqual([]);
  });

  test.for([
    ["is away", async (tokens: ScriptedTokenEndpoint) => tokens.pause(), "cannot be reached"],
    [
      "limits the rate",
      async (tokens: ScriptedTokenEndpoint) => {
        tokens.answer = () => ({ status: 429, retryAfter: 7, body: {} });
      },
      "answered with HTTP 429",
    ],
    [
      "is broken",
      async (tokens: ScriptedTokenEndpoint) => {
        tokens.answer = () => ({ status: 500, body: "<html>" });
      },
      "answered with HTTP 500",
    ],
    [
      "refuses the user",
      async (tokens: ScriptedTokenEndpoint) => {
        const body = { error: "invalid_grant", error_description: "SECRET-DESCRIPTION" };
        tokens.answer = () => ({ status: 400, body });
      },
      "refused with the error invalid_grant",
    ],
  ] as const)("because it %s fails the calls of its backend alone [F39]", async (row) => {
    const [, fail, sentence] = row;
    await using tokens = await ScriptedTokenEndpoint.start();
    await using backend = await startHttpLedger();
    await using other = await startHttpLedger(OTHER);
    const { backends = [], ...config } = configOf(backend, tokens.url);
    await using gateway = await startGateway({
      ...config,
      backends: [...backends, { name: "b2", url: other.url }],
    });
    const session = await gateway.vmcp.openSession(ALICE);
    await fail(tokens);
    refuse(backend, ["token-1"]);

    const failure = await echo(session, "x").catch((error: unknown) => error);

    expect(failure).toMatchObject({
      code: "backend_auth",
      executionState: "not_executed",
      message: expect.stringContaining(sentence),
    });
    expect(String(failure)).not.toContain("SECRET-DESCRIPTION");
    await expect(session.callTool("other", {})).resolves.toBeDefined();
    expect(backend.ledger.calls).toEqual([]);
  });
});
