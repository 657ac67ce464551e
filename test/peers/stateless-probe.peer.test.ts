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

test("a probe for the stateless revision is answered with what there is", async () => {
  const probe = { jsonrpc: "2.0", id: "probe-1", method: "server/discover", params: PARAMS };

  const answer = await postMessage(gateway.url, probe, HEADERS);

  expect(answer.status).toBe(200);
  expect(answer.headers["mcp-session-id"]).toBeUndefined();
  expect(lastMessage(answer)).toMatchObject({
    id: "probe-1",
    result: { supportedVersions: [REVISION] },
  });
});

test.for<[string, Record<string, string>, JsonObject, number]>([
  ["header", HEADERS, {}, -32_602],
  ["body", {}, PARAMS, -32_020],
])(
  "a probe that names the revision in its %s alone gets an error that keeps clients from falling back",
  async ([, headers, params, code]) => {
    const probe = { jsonrpc: "2.0", id: "probe-1", method: "server/discover", params };

    const answer = await postMessage(gateway.url, probe, headers);

    expect(answer.status).toBe(400);
    expect(lastMessage(answer)).toMatchObject({ id: "probe-1", error: { code } });
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
