import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/domain/json.ts";
import { postMessage, type RawAnswer } from "../support/raw-client.ts";
import { AUDIENCE, bearer, startAuthRig } from "./auth-incoming-rig.ts";

const REVISION = "2026-07-28";

/** A request of a stateless client, which names no session. */
async function ask(
  url: string,
  method: string,
  params: JsonObject,
  headers: Readonly<Record<string, string>>,
): Promise<RawAnswer> {
  const meta = {
    "io.modelcontextprotocol/protocolVersion": REVISION,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
  };
  const message = { jsonrpc: "2.0", id: 1, method, params: { ...params, _meta: meta } };
  const name = params["name"];
  return postMessage(url, message, {
    "mcp-protocol-version": REVISION,
    "mcp-method": method,
    ...(typeof name === "string" && { "mcp-name": name }),
    ...headers,
  });
}

describe("a client without sessions", () => {
  test("proves itself with each request", async () => {
    const { gateway, as, backend } = await startAuthRig();

    const without = await ask(gateway.url, "tools/list", {}, {});
    const wrong = await ask(gateway.url, "tools/list", {}, { authorization: "Bearer x.y.z" });
    const right = await ask(gateway.url, "tools/list", {}, await as("alice"));

    expect([without.status, wrong.status, right.status]).toEqual([401, 401, 200]);
    expect(right.text).toContain("echo");
    expect(backend.sessions).toHaveLength(1);
  });

  test.for([
    ["a user has one backend session", false, 2],
    ["each program of a user has one with bindClient: true", true, 3],
  ] as const)("%s [auth A6]", async ([, bindClient, expected]) => {
    const { gateway, provider, backend } = await startAuthRig({ incomingAuth: { bindClient } });
    const count = async (subject: string, clientId: string): Promise<string> => {
      const now = Math.floor(Date.now() / 1_000);
      const claims = { iss: provider.issuer, aud: AUDIENCE, sub: subject, exp: now + 300 };
      const token = await provider.sign({ ...claims, client_id: clientId });
      const answer = await ask(gateway.url, "tools/call", COUNT, bearer(token));
      return answer.text;
    };

    await count("alice", "one");
    await count("alice", "one");
    await count("alice", "two");
    await count("bob", "one");

    expect(backend.sessions).toHaveLength(expected);
  });

  test("is told which scopes a tool needs", async () => {
    const { gateway, as } = await startAuthRig({
      incomingAuth: { toolScopes: { echo: ["mcp:admin"] } },
    });
    const call = { name: "echo", arguments: { text: "hello" } };

    const answer = await ask(gateway.url, "tools/call", call, await as("alice"));

    expect(answer.status).toBe(403);
    expect(JSON.parse(answer.text)).toMatchObject({ id: 1, error: { code: 403 } });
    expect(answer.headers["www-authenticate"]).toContain('scope="mcp:admin"');
  });
});

const COUNT = { name: "count", arguments: {} };
