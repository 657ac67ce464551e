import { describe, expect, test } from "vitest";
import { Vmcp } from "../../src/app/vmcp.ts";
import { parseConfig } from "../../src/config/load-config.ts";
import { startHttpBackend } from "../support/backend/http-backend.ts";
import { startEverythingSse, startSdkSseBackend } from "../support/backend/sdk-sse-backend.ts";
import { startSseBackend } from "../support/backend/sse-backend.ts";
import { connectV1, connectV2, textOf } from "../support/clients.ts";
import { CLIENTS } from "../support/e2e-clients.ts";
import { startGateway } from "../support/gateway.ts";
import { startEverythingServer } from "../support/npm-servers.ts";

describe.each(CLIENTS)("with the client of %s", (_name, connect) => {
  test("the tools of server-everything over HTTP+SSE are listed and called", async () => {
    await using everything = await startEverythingSse();
    await using gateway = await startGateway({
      backends: [{ name: "old", url: everything.url, transport: "sse" }],
    });
    await using client = await connect(gateway.url);

    const names = await client.toolNames();
    const echoed = await client.callText("echo", { message: "hello" });

    expect(names).toEqual(expect.arrayContaining(["echo", "get-sum"]));
    expect(echoed).toContain("hello");
  });

  test("a tool that appears is announced, listed and called", async () => {
    await using backend = await startSdkSseBackend();
    await using gateway = await startGateway({
      backends: [{ name: "old", url: backend.url, transport: "sse" }],
    });
    await using client = await connect(gateway.url);
    const namesBefore = await client.toolNames();

    await client.call("grow");
    await expect
      .poll(() => client.notifications.map(({ method }) => method))
      .toContain("notifications/tools/list_changed");

    expect(namesBefore).not.toContain("grown");
    expect(await client.toolNames()).toContain("grown");
    expect(await client.callText("grown")).toBe("new");
  });

  test("a backend that asks the user during a call gets the answer of the client that called", async () => {
    await using backend = await startSdkSseBackend();
    await using gateway = await startGateway({
      backends: [{ name: "old", url: backend.url, transport: "sse" }],
    });
    const answering = (colour: string) => ({
      onElicitation: () => ({ action: "accept", content: { colour } }),
    });
    await using alice = await connect(gateway.url, answering("red"));
    await using bob = await connect(gateway.url, answering("blue"));

    const answers = await Promise.all([alice.callText("ask"), bob.callText("ask")]);

    expect(answers).toEqual(["accept red", "accept blue"]);
  });

  test("two clients have a backend session each, which ends with theirs", async () => {
    await using backend = await startSdkSseBackend();
    await using gateway = await startGateway({
      backends: [{ name: "old", url: backend.url, transport: "sse" }],
    });
    // The gateway keeps one of its own, to see how the backend is.
    await gateway.vmcp.probed();
    const own = backend.openSessions.size;
    await using alice = await connect(gateway.url);
    await using bob = await connect(gateway.url);

    const counts: string[] = [];
    for (const client of [alice, bob, alice]) counts.push(await client.callText("count"));
    await expect.poll(() => backend.openSessions.size - own).toBe(2);
    await alice.close();
    await expect.poll(() => backend.openSessions.size - own).toBe(1);
    counts.push(await bob.callText("count"));

    expect(counts).toEqual(["1", "1", "2", "2"]);
  });

  test("a backend that drops its streams is connected anew by the next call, which says so", async () => {
    await using backend = await startSdkSseBackend();
    await using gateway = await startGateway({
      backends: [{ name: "old", url: backend.url, transport: "sse" }],
    });
    await using client = await connect(gateway.url);
    await client.call("count");

    await backend.drop();
    await expect.poll(() => backend.openSessions.size).toBe(0);
    const result = await client.call("count");

    expect(result).toMatchObject({
      content: [{ text: "1" }],
      _meta: { backend_reinitialized: true },
    });
  });

  test("servers of a client's file that name no transport are found over either", async () => {
    await using old = await startEverythingSse();
    await using current = await startEverythingServer();
    const servers = { old: { url: old.url }, current: { url: current.url } };
    const { config } = parseConfig({
      text: JSON.stringify({ mcpServers: servers }),
      fileName: "mcp.json",
      env: {},
    });
    const server = { ...config.server, port: 0 };
    const vmcp = await Vmcp.create({ ...config, server });
    await using _closing = { [Symbol.asyncDispose]: async () => vmcp.close() };
    await using client = await connect(await vmcp.listen());

    const echoed = [
      await client.callText("old_echo", { message: "over one" }),
      await client.callText("current_echo", { message: "over the other" }),
    ];

    expect(echoed).toEqual([
      expect.stringContaining("over one"),
      expect.stringContaining("over the other"),
    ]);
  });
});

test("progress of a call arrives before its answer, in order, with both clients", async () => {
  await using backend = await startSdkSseBackend();
  await using gateway = await startGateway({
    backends: [{ name: "old", url: backend.url, transport: "sse" }],
  });
  await using v1 = await connectV1(gateway.url);
  await using v2 = await connectV2(gateway.url);
  const seen: Record<"v1" | "v2", number[]> = { v1: [], v2: [] };
  const params = { name: "steps", arguments: {} };

  const results = await Promise.all([
    v1.client.callTool(params, undefined, {
      onprogress: ({ progress }) => seen.v1.push(progress),
    }),
    v2.client.callTool(params, { onprogress: ({ progress }) => seen.v2.push(progress) }),
  ]);

  expect(results.map(textOf)).toEqual(["done", "done"]);
  expect(seen).toEqual({ v1: [1, 2], v2: [1, 2] });
});

test("a backend whose stream names an address elsewhere serves nothing and harms nobody", async () => {
  await using trap = await startHttpBackend();
  await using hostile = await startSseBackend({ address: () => trap.url });
  await using sound = await startSdkSseBackend();
  await using gateway = await startGateway({
    backends: [
      { name: "hostile", url: hostile.url, transport: "sse", headers: { "X-Key": "canary" } },
      { name: "sound", url: sound.url, transport: "sse" },
    ],
  });
  await using connected = await connectV2(gateway.url);

  const { tools } = await connected.client.listTools();

  expect(tools.map(({ name }) => name)).toEqual(expect.arrayContaining(["count", "ask"]));
  expect(hostile.of("GET").length).toBeGreaterThan(0);
  expect(trap.seen).toEqual([]);
  expect(trap.sockets.size).toBe(0);
});
