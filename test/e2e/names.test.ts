import { describe, expect, test } from "vitest";
import { CLIENTS } from "../support/e2e-clients.ts";
import { startGateway } from "../support/gateway.ts";
import { startHttpLedger } from "../support/ledger-backend.ts";
import {
  filesystemCommand,
  memoryCommand,
  startEverythingServer,
  type StdioCommand,
} from "../support/npm-servers.ts";

const VALID_NAME = /^[A-Za-z0-9_.-]{1,64}$/;

function toConfig({ command, args, env = {} }: StdioCommand) {
  return { command, args: [...args], env: { ...env } };
}

function tool(name: string): string {
  return JSON.stringify({ name, inputSchema: { type: "object" } });
}

const LONG_NAMES = [
  `${"very_long_tool_name_".repeat(5)}a`,
  `${"very_long_tool_name_".repeat(5)}b`,
  "suche nach wörtern",
  "поиск",
  "检索",
  "with spaces",
  "with/slash",
];

describe.each(CLIENTS)("with the client of %s", (_name, connect) => {
  test("backends without a name in common keep their names [A16]", async () => {
    await using everything = await startEverythingServer();
    await using gateway = await startGateway({
      backends: [
        { name: "everything", url: everything.url },
        { name: "memory", ...toConfig(memoryCommand("/nonexistent/graph.json")) },
        { name: "files", ...toConfig(filesystemCommand(import.meta.dirname)) },
      ],
      aggregation: { conflictResolution: "prefixOnConflict" },
    });
    await using direct = await connect(everything.url);
    await using client = await connect(gateway.url);

    const names = await client.toolNames();

    expect(names).toEqual(expect.arrayContaining([...(await direct.toolNames())]));
    expect(names).toContain("read_graph");
    expect(names).toContain("list_directory");
    expect(await client.callText("list_directory", { path: import.meta.dirname })).toContain(
      "names.test.ts",
    );
  });

  test("long backend and tool names give valid, unique names that stay the same after a restart [A17]", async () => {
    await using first = await startHttpLedger({ tools: LONG_NAMES.map(tool) });
    await using everything = await startEverythingServer();
    const config = {
      backends: [
        { name: "a_backend_whose_name_is_as_long_as_they_may_be_48", url: first.url },
        { name: "everything-server-with-a-rather-long-name-of-45ch", url: everything.url },
      ].map(({ name, url }) => ({ name: name.slice(0, 48), url })),
      aggregation: { conflictResolution: "prefix" as const },
    };
    const names: (readonly string[])[] = [];

    for (let start = 0; start < 2; start += 1) {
      await using gateway = await startGateway(config);
      await using client = await connect(gateway.url);
      names.push(await client.toolNames());
    }

    expect(names[0]?.every((name) => VALID_NAME.test(name))).toBe(true);
    expect(new Set(names[0]).size).toBe(names[0]?.length);
    expect(names[1]).toEqual(names[0]);
  });

  test("names of 100 characters, with unicode or spaces, from two backends are valid, callable and stable when a backend is added [B15]", async () => {
    const results = new Map(LONG_NAMES.map((name) => [name, '{"content":[]}']));
    const script = { tools: LONG_NAMES.map(tool), results, hasBuiltInTools: false };
    await using one = await startHttpLedger(script);
    await using two = await startHttpLedger(script);
    await using everything = await startEverythingServer();
    const two_backends = [
      { name: "one", url: one.url },
      { name: "two", url: two.url },
    ];

    await using gateway = await startGateway({ backends: two_backends });
    await using client = await connect(gateway.url);
    const names = await client.toolNames();
    for (const name of names) await client.call(name);
    await using larger = await startGateway({
      backends: [...two_backends, { name: "everything", url: everything.url }],
    });
    await using other = await connect(larger.url);

    expect(names).toHaveLength(2 * LONG_NAMES.length);
    expect(names.every((name) => VALID_NAME.test(name))).toBe(true);
    expect(new Set(names).size).toBe(names.length);
    for (const backend of [one, two]) {
      expect(backend.ledger.calls.map(({ tool: called }) => called).toSorted()).toEqual(
        LONG_NAMES.toSorted(),
      );
    }
    expect(await other.toolNames()).toEqual(expect.arrayContaining([...names]));
  });
});
