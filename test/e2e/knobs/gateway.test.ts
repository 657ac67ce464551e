import { expect, test } from "vitest";
import { createVmcp } from "../../../src/app/create-vmcp.ts";
import { ConfigError } from "../../../src/config/problems.ts";
import { startStatelessBackend } from "../../support/backend/stateless-backend.ts";
import type { Gateway } from "../../support/gateway.ts";
import { startHttpLedger } from "../../support/ledger-backend.ts";
import { freePort } from "../../support/npm-servers.ts";
import { openRawSession, postMessage, sendRaw, startRaw } from "../../support/raw-client.ts";
import { askStateless, resultOf } from "../../support/stateless-client.ts";
import { callText, INITIALIZE, startKnobs, statusOf } from "./knob-gateway.ts";

const UNREACHED = { backends: [{ name: "b1", url: "http://127.0.0.1:1/mcp" }] };

test("name: is what clients see in serverInfo", async () => {
  await using gateway = await startKnobs({ ...UNREACHED, name: "team-tools" });

  const { initializeAnswer } = await openRawSession(gateway.url);

  expect(JSON.parse(initializeAnswer.text)).toMatchObject({
    result: { serverInfo: { name: "team-tools" } },
  });
});

test.for(["groupRef: is shown in the status", "group: is shown in the status"] as const)(
  "%s",
  async (title) => {
    const field = title.slice(0, title.indexOf(":"));
    await using plain = await startKnobs(UNREACHED);
    await using grouped = await startKnobs({ ...UNREACHED, [field]: "platform" });

    expect(await statusOf(plain)).not.toHaveProperty("group");
    expect(await statusOf(grouped)).toMatchObject({ group: "platform" });
  },
);

test("server.port: is the port of the endpoint", async () => {
  const port = await freePort();
  await using gateway = await startKnobs({ ...UNREACHED, server: { port } });

  expect(gateway.url).toBe(`http://127.0.0.1:${port}/mcp`);
  expect((await postMessage(gateway.url, INITIALIZE)).status).toBe(200);
});

// Other systems give their loopback interface one address only.
test.runIf(process.platform === "linux")(
  "server.host: is the only address that answers, under its own name",
  async () => {
    await using gateway = await startKnobs({ ...UNREACHED, server: { host: "127.0.0.2" } });
    const { port } = new URL(gateway.url);

    const there = await postMessage(gateway.url, INITIALIZE);
    const elsewhere = postMessage(`http://127.0.0.1:${port}/mcp`, INITIALIZE);

    expect(there.status).toBe(200);
    await expect(elsewhere).rejects.toMatchObject({ code: "ECONNREFUSED" });
  },
);

test("server.path: is where the endpoint is, and nowhere else", async () => {
  await using gateway = await startKnobs({ ...UNREACHED, server: { path: "/team/tools" } });

  const there = await postMessage(gateway.url, INITIALIZE);
  const elsewhere = await postMessage(new URL("/mcp", gateway.url).href, INITIALIZE);

  expect(new URL(gateway.url).pathname).toBe("/team/tools");
  expect([there.status, elsewhere.status]).toEqual([200, 404]);
});

test("server.allowedHosts: lets requests through that name such a host", async () => {
  await using plain = await startKnobs(UNREACHED);
  await using open = await startKnobs({ ...UNREACHED, server: { allowedHosts: ["mcp.example"] } });
  const headers = { host: "mcp.example" };

  expect((await postMessage(plain.url, INITIALIZE, headers)).status).toBe(403);
  expect((await postMessage(open.url, INITIALIZE, headers)).status).toBe(200);
});

test("server.allowedOrigins: lets pages of that origin call and read the answer", async () => {
  const origin = "https://app.example";
  await using plain = await startKnobs(UNREACHED);
  await using open = await startKnobs({ ...UNREACHED, server: { allowedOrigins: [origin] } });

  const refused = await postMessage(plain.url, INITIALIZE, { origin });
  const answered = await postMessage(open.url, INITIALIZE, { origin });

  expect(refused.status).toBe(403);
  expect(answered.status).toBe(200);
  expect(answered.headers["access-control-allow-origin"]).toBe(origin);
});

test("a page of a listed origin may send the headers of every tool", async () => {
  const origin = "https://app.example";
  await using open = await startKnobs({ ...UNREACHED, server: { allowedOrigins: [origin] } });

  const preflight = await sendRaw(open.url, {
    method: "OPTIONS",
    headers: {
      origin,
      "access-control-request-method": "POST",
      "access-control-request-headers": "mcp-method, mcp-param-region, x-other",
    },
  });

  const allowed = preflight.headers["access-control-allow-headers"]?.split(", ");
  expect(allowed).toEqual(expect.arrayContaining(["mcp-method", "mcp-param-region"]));
  expect(allowed).not.toContain("x-other");
});

test("server.legacySse: opens /sse to clients that only know HTTP+SSE", async () => {
  await using plain = await startKnobs(UNREACHED);
  await using open = await startKnobs({ ...UNREACHED, server: { legacySse: true } });
  const accept = { headers: { accept: "text/event-stream" } };

  const absent = await sendRaw(new URL("/sse", plain.url).href, accept);
  const stream = await startRaw(new URL("/sse", open.url).href, accept);

  expect(absent.status).toBe(404);
  expect(stream.status).toBe(200);
  await expect.poll(() => stream.events[0]).toMatch(/^\/messages\?sessionId=/);
  stream.destroy();
});

test("server.stateKeys: let gateways with the same keys take up what one of them asked", async () => {
  await using backend = await startStatelessBackend();
  const backends = [{ name: "b", url: backend.url }];
  const start = async (stateKeys: string[]): Promise<Gateway> =>
    startKnobs({ backends, server: { stateKeys } });
  await using asking = await start(["one"]);
  await using same = await start(["two", "one"]);
  await using other = await start([]);
  const options = { capabilities: { elicitation: {} } };
  const { requestState = "" } = await resultOf(asking.url, "tools/call", { name: "ask" }, options);
  const inputResponses = { name: { action: "decline" } };
  const retry = { name: "ask", requestState, inputResponses };

  const taken = await askStateless(same.url, "tools/call", retry, options);
  const refused = await askStateless(other.url, "tools/call", retry, options);

  expect(taken).toMatchObject({ result: { resultType: "complete" } });
  expect(refused).toMatchObject({ error: { code: -32_602 } });
});

test.for(["/sse", "/messages"])(
  "the endpoint cannot be at %s, where older clients are served",
  async (path) => {
    const refused = createVmcp({ ...UNREACHED, server: { legacySse: true, path } });

    await expect(refused).rejects.toMatchObject({
      problems: [expect.objectContaining({ path: "server.path" })],
    });
  },
);

test("incomingAuth.allowInsecureAnonymous: lets anonymous clients in where other machines can reach", async () => {
  const input = { ...UNREACHED, server: { host: "0.0.0.0", port: 0 } };
  const incomingAuth = { type: "anonymous" } as const;

  const refused = createVmcp({ ...input, incomingAuth });
  await using vmcp = await createVmcp({
    ...input,
    incomingAuth: { ...incomingAuth, allowInsecureAnonymous: true },
  });

  await expect(refused).rejects.toBeInstanceOf(ConfigError);
  expect(await vmcp.listen()).toMatch(/^http:\/\/0\.0\.0\.0:\d+\/mcp$/);
});

test("operational.sessionManagementV2: gives each client session one backend session of its own", async () => {
  await using ledger = await startHttpLedger();
  const backends = [{ name: "b1", url: ledger.url }];
  const counts: unknown[][] = [];

  for (const sessionManagementV2 of [false, true]) {
    await using gateway = await startKnobs({ backends, operational: { sessionManagementV2 } });
    const session = await openRawSession(gateway.url);
    const first = await callText(session, "count");
    const second = await callText(session, "count");
    counts.push([first, second, await statusOf(gateway)]);
  }

  expect(counts).toMatchObject([
    ["1", "1", { sessionManagementV2: false }],
    ["1", "2", { sessionManagementV2: true }],
  ]);
});

test("the pages beside the endpoint stay where they are, whatever its path", async () => {
  await using gateway = await startKnobs({ ...UNREACHED, server: { path: "/other" } });

  expect((await sendRaw(new URL("/health", gateway.url).href)).status).toBe(200);
});
