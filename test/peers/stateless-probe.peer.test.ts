import { afterAll, beforeAll, expect, test } from "vitest";
import type { JsonObject } from "../../src/domain/json.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";
import { startHttpLedger, type HttpLedger } from "../support/ledger-backend.ts";
import { lastMessage, openRawSession, postMessage } from "../support/raw-client.ts";

let ledger: HttpLedger;
let gateway: Gateway;
beforeAll(async () => {
  ledger = await startHttpLedger();
  gateway = await startGateway({ backends: [{ name: "ledger", url: ledger.url }] });
});
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await ledger[Symbol.asyncDispose]();
});

/** What says that the stateless revision is meant: clients send both, and each alone must not be taken for a session. */
const REVISION = "2026-07-28";
const HEADERS = { "mcp-protocol-version": REVISION, "mcp-method": "server/discover" };
const PARAMS = {
  _meta: {
    "io.modelcontextprotocol/protocolVersion": REVISION,
    "io.modelcontextprotocol/clientInfo": { name: "probing-client", version: "1.0.0" },
    "io.modelcontextprotocol/clientCapabilities": {},
  },
};

/**
 * Errors by which a server shows that it speaks the stateless revision. A client that reads one of them stays with that
 * revision or gives up; the AI SDK's gives up even where the sessionful revisions are listed as supported.
 */
const STATELESS_ERRORS = [-32_020, -32_021, -32_022];

const PROBES: readonly [string, Record<string, string>, JsonObject][] = [
  ["by header and body", HEADERS, PARAMS],
  ["by header alone", HEADERS, {}],
  ["by body alone", {}, PARAMS],
];

test.for(PROBES)(
  "a probe for the stateless revision, %s, gets a 400 that sends clients to initialize",
  async ([, headers, params]) => {
    const probe = { jsonrpc: "2.0", id: "probe-1", method: "server/discover", params };

    const answer = await postMessage(gateway.url, probe, headers);

    expect(answer.status).toBe(400);
    expect(answer.headers["content-type"]).toBe("application/json");
    expect(answer.headers["mcp-session-id"]).toBeUndefined();
    // A JSON-RPC error, as the next lines make sure.
    const { error, id } = lastMessage(answer) as { id: unknown; error: { code: number } };
    expect(id).toBe("probe-1");
    expect(error.code).toEqual(expect.any(Number));
    expect(STATELESS_ERRORS).not.toContain(error.code);
    expect(gateway.vmcp.sessions.sessionCount).toBe(0);
  },
);

test("a client that goes on by initialize after its probe gets a session like any other", async () => {
  const probe = { jsonrpc: "2.0", id: 0, method: "server/discover", params: PARAMS };
  await postMessage(gateway.url, probe, HEADERS);

  const session = await openRawSession(gateway.url);
  const answer = await session.request("tools/call", { name: "count" });
  await session.delete();

  expect(answer).toMatchObject({ result: { content: [{ text: "1" }] } });
});
