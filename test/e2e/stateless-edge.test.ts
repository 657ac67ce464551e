import { describe, expect, test } from "vitest";
import { startGateway } from "../support/gateway.ts";
import { connectStateless, REVISION, resultOf } from "../support/stateless-client.ts";
import { textOf } from "../support/clients.ts";
import { BACKENDS } from "./protocol-backends.ts";

describe.each(BACKENDS)("in front of a sessionful backend over %s", (_transport, startBackend) => {
  test.for(["auto", { pin: REVISION }] as const)(
    "the SDK's client discovers, lists and calls without a session, in mode %j [B17]",
    async (mode) => {
      await using backend = await startBackend();
      await using gateway = await startGateway({ backends: [backend.entry()] });
      await using connected = await connectStateless(gateway.url, { mode });
      const { client } = connected;

      const { tools } = await client.listTools();
      const first = await client.callTool({ name: "count", arguments: {} });
      const second = await client.callTool({ name: "count", arguments: {} });

      expect(client.getProtocolEra()).toBe("modern");
      expect(tools.map(({ name }) => name)).toContain("count");
      expect([textOf(first), textOf(second)]).toEqual(["1", "2"]);
      expect(backend.backend.sessions).toHaveLength(1);
    },
  );

  test("discovery names the one revision, everything that backends may bring, and who answers", async () => {
    await using backend = await startBackend({ instructions: "Count well." });
    await using gateway = await startGateway({ name: "gate", backends: [backend.entry()] });

    const result = await resultOf(gateway.url, "server/discover");

    expect(result).toMatchObject({
      resultType: "complete",
      supportedVersions: [REVISION],
      capabilities: { tools: { listChanged: true }, resources: { subscribe: true } },
      instructions: "Count well.",
      ttlMs: 0,
      cacheScope: "private",
      _meta: { "io.modelcontextprotocol/serverInfo": { name: "gate" } },
    });
  });
});
