import { decodeJwt } from "jose";
import type { Provider } from "oidc-provider";
import { expect, test } from "vitest";
import type { Identity } from "../../src/domain/identity.ts";
import { startGateway } from "../support/gateway.ts";
import { IdentityProvider } from "../support/identity-provider.ts";
import { type HttpLedger, startHttpLedger } from "../support/ledger-backend.ts";
import { openRawSession, postMessage } from "../support/raw-client.ts";
import { ScriptedTokenEndpoint } from "../support/token-endpoint.ts";

const ALICE: Identity = { kind: "verified", issuer: "https://issuer.example", subject: "alice" };

/** Whoever comes to sign in is alice, and agrees to everything. */
function signInAsAlice(provider: Provider): void {
  provider.use(async (context, next) => {
    if (!context.path.startsWith("/interaction/")) return next();
    const { prompt, params, grantId } = await provider.interactionDetails(context.req, context.res);
    if (prompt.name === "login") {
      const result = { login: { accountId: "alice" } };
      return provider.interactionFinished(context.req, context.res, result);
    }
    const known = grantId === undefined ? undefined : await provider.Grant.find(grantId);
    const clientId = String(params["client_id"]);
    const grant = known ?? new provider.Grant({ accountId: "alice", clientId });
    grant.addOIDCScope(String(params["scope"]));
    grant.addResourceScope(String(params["resource"]), String(params["scope"]));
    const consent = { grantId: await grant.save() };
    return provider.interactionFinished(
      context.req,
      context.res,
      { consent },
      { mergeWithLastSubmission: true },
    );
  });
}

/** The backend takes tokens that were issued for it, and says where such are had. */
function protect(backend: HttpLedger, issuer: string): void {
  const metadata = "/.well-known/oauth-protected-resource/mcp";
  backend.interceptWith((request, _body, response) => {
    if (request.url === metadata) {
      const body = { resource: backend.url, authorization_servers: [issuer] };
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
      return true;
    }
    const token = request.headers.authorization?.replace("Bearer ", "");
    if (token !== undefined && decodeJwt(token).aud === backend.url) return false;
    const place = new URL(metadata, backend.url).href;
    const challenge = `Bearer resource_metadata="${place}", scope="mcp:read"`;
    response.writeHead(401, { "www-authenticate": challenge }).end();
    return true;
  });
}

/** A sign-in that takes more redirects leads in circles. */
const MAX_HOPS = 12;

/** What a browser does that opens the link: it keeps cookies and follows redirects to the end. */
async function browse(link: string): Promise<Response> {
  const cookies = new Map<string, string>();
  const trail: string[] = [];
  let url = link;
  for (;;) {
    trail.push(url);
    if (trail.length > MAX_HOPS) throw new Error(`lost on the way: ${trail.join("\n")}`);
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    // Each step leads to the next.
    // oxlint-disable-next-line no-await-in-loop
    const answer = await fetch(url, { redirect: "manual", headers: { cookie } });
    for (const line of answer.headers.getSetCookie()) {
      const [name = "", value = ""] = line.split(";", 1)[0]?.split("=") ?? [];
      if (value === "") cookies.delete(name);
      else cookies.set(name, value);
    }
    const location = answer.headers.get("location");
    if (location === null) return answer;
    url = new URL(location, url).href;
  }
}

test("users sign in at a real provider, and the backend gets tokens that are for it alone", async () => {
  await using provider = await IdentityProvider.start({
    configuration: {
      features: { registration: { enabled: true }, devInteractions: { enabled: false } },
      interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
    },
    setUp: signInAsAlice,
  });
  await using backend = await startHttpLedger();
  protect(backend, provider.issuer);
  await using gateway = await startGateway({
    backends: [{ name: "b1", url: backend.url }],
    outgoingAuth: { backends: { b1: { type: "oauth" } } },
  });
  const session = await gateway.vmcp.openSession(ALICE);
  const waiting = session.backends()[0]?.failure?.message ?? "";

  const page = await browse(/http:\S+$/.exec(waiting)?.[0] ?? waiting);
  await expect.poll(() => session.backends()[0]?.phase).toBe("ready");
  await session.callTool("echo", {});

  expect(await page.text()).toBe("You are signed in to b1. You can close this window.\n");
  const token = backend.ledger.calls[0]?.headers.authorization?.replace("Bearer ", "") ?? "";
  expect(decodeJwt(token)).toMatchObject({
    iss: provider.issuer,
    aud: backend.url,
    sub: "alice",
    scope: "mcp:read",
  });
  expect(provider.asked("/reg")).toBe(1);
});

test("the token that a client over HTTP sends now is the one that is exchanged, and no backend sees it", async () => {
  const audience = "https://gateway.example/mcp";
  await using provider = await IdentityProvider.start();
  await using tokens = await ScriptedTokenEndpoint.start();
  await using backend = await startHttpLedger();
  await using gateway = await startGateway({
    backends: [{ name: "b1", url: backend.url }],
    incomingAuth: {
      type: "oidc",
      oidc: {
        issuer: provider.issuer,
        audience,
        insecureAllowHttp: true,
        jwksAllowPrivateIp: true,
      },
    },
    outgoingAuth: { default: { type: "token_exchange", tokenUrl: tokens.url } },
  });
  const tokenFor = async (scope: string): Promise<string> =>
    provider.tokenFor({ subject: "alice", audience, scope });
  const [first, second] = [await tokenFor("mcp:read"), await tokenFor("mcp:read mcp:write")];
  const { id } = await openRawSession(gateway.url, {
    headers: { authorization: `Bearer ${first}` },
  });

  const call = { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "echo" } };
  const answer = await postMessage(gateway.url, call, {
    authorization: `Bearer ${second}`,
    "mcp-session-id": id,
    "mcp-protocol-version": "2025-11-25",
  });

  expect(answer.text).toContain('"result"');
  expect(tokens.asked.map(({ form }) => form["subject_token"])).toEqual([first, second]);
  expect(backend.ledger.calls.map(({ headers }) => headers.authorization)).toEqual([
    "Bearer token-2",
  ]);
  const seen = JSON.stringify(backend.requests);
  expect([seen.includes(first), seen.includes(second)]).toEqual([false, false]);
});
