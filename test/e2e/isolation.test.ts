import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CLIENTS } from "../support/e2e-clients.ts";
import { startGateway } from "../support/gateway.ts";
import { startHttpLedger } from "../support/ledger-backend.ts";
import type { Ledger } from "../support/ledger.ts";
import { startStdioLedger } from "../support/ledger-stdio.ts";
import {
  memoryCommand,
  sequentialThinkingCommand,
  startEverythingServer,
} from "../support/npm-servers.ts";

/** Initializes that came from clients, as opposed to the gateway's own probes. */
function clientInitializes(ledger: Ledger): number {
  return ledger.initializes.filter(({ text }) => !text.includes("vmcp-probe")).length;
}

const THOUGHT = {
  thought: "one more",
  thoughtNumber: 1,
  totalThoughts: 9,
  nextThoughtNeeded: true,
} as const;

describe.each(CLIENTS)("with the client of %s", (_name, connect) => {
  test("two calls of a session meet the same backend session, initialized once [A1]", async () => {
    await using http = await startHttpLedger();
    await using stdio = await startStdioLedger();
    await using gateway = await startGateway({
      backends: [
        { name: "http", url: http.url },
        { name: "stdio", command: stdio.command, args: [...stdio.args] },
        { name: "thinking", ...toConfig(sequentialThinkingCommand()) },
      ],
    });
    await using client = await connect(gateway.url);

    const counts = [
      await client.callText("http_count"),
      await client.callText("http_count"),
      await client.callText("stdio_count"),
      await client.callText("stdio_count"),
    ];
    const thoughts = [
      await client.callText("sequentialthinking", THOUGHT),
      await client.callText("sequentialthinking", THOUGHT),
    ].map((text) => JSON.parse(text).thoughtHistoryLength);

    expect(counts).toEqual(["1", "2", "1", "2"]);
    expect(thoughts).toEqual([1, 2]);
    expect(clientInitializes(http.ledger)).toBe(1);
    expect(clientInitializes(stdio.ledger)).toBe(1);
  });

  test("two sessions on one backend count apart [A2]", async () => {
    await using http = await startHttpLedger();
    await using gateway = await startGateway({
      backends: [
        { name: "http", url: http.url },
        { name: "thinking", ...toConfig(sequentialThinkingCommand()) },
      ],
    });
    await using alice = await connect(gateway.url);
    await using bob = await connect(gateway.url);

    const counts: string[] = [];
    for (const client of [alice, bob, alice, alice, bob]) {
      counts.push(await client.callText("count"));
    }
    const thoughts: number[] = [];
    for (const client of [alice, bob, alice]) {
      const text = await client.callText("sequentialthinking", THOUGHT);
      thoughts.push(JSON.parse(text).thoughtHistoryLength);
    }

    expect(counts).toEqual(["1", "1", "2", "3", "2"]);
    expect(thoughts).toEqual([1, 1, 2]);
  });

  test("two clients keep their state apart on a stdio and an HTTP server from npm, one backend session each [B1]", async () => {
    await using everything = await startEverythingServer();
    await using http = await startHttpLedger();
    await using stdio = await startStdioLedger();
    await using gateway = await startGateway({
      backends: [
        { name: "everything", url: everything.url },
        { name: "thinking", ...toConfig(sequentialThinkingCommand()) },
        { name: "http", url: http.url },
        { name: "stdio", command: stdio.command, args: [...stdio.args] },
      ],
    });
    await using alice = await connect(gateway.url);
    await using bob = await connect(gateway.url);

    const log: string[] = [];
    for (const [who, client] of [
      ["alice", alice],
      ["bob", bob],
      ["alice", alice],
    ] as const) {
      const toggled = await client.callText("toggle-simulated-logging");
      const thinking = JSON.parse(await client.callText("sequentialthinking", THOUGHT));
      log.push(`${who} ${toggled.split(" ")[0]} ${thinking.thoughtHistoryLength}`);
      log.push(`${await client.callText("http_count")} ${await client.callText("stdio_count")}`);
    }

    expect(log).toEqual([
      "alice Started 1",
      "1 1",
      "bob Started 1",
      "1 1",
      "alice Stopped 2",
      "2 2",
    ]);
    expect(clientInitializes(http.ledger)).toBe(2);
    expect(clientInitializes(stdio.ledger)).toBe(2);
    const tags = await Promise.all(
      [alice, bob].map(async (client) => client.callText("http_whoami")),
    );
    expect(new Set(tags).size).toBe(2);
  });
});

test("a memory server keeps what one session stored for that session's next call", async () => {
  const folder = await mkdtemp(join(tmpdir(), "vmcp-memory-"));
  await using gateway = await startGateway({
    backends: [{ name: "memory", ...toConfig(memoryCommand(join(folder, "graph.json"))) }],
  });
  const [, connect] = CLIENTS[0] ?? [];
  if (connect === undefined) throw new Error("no client");
  await using client = await connect(gateway.url);

  await client.call("create_entities", {
    entities: [{ name: "vmcp", entityType: "gateway", observations: ["keeps sessions"] }],
  });

  expect(await client.callText("read_graph")).toContain("keeps sessions");
  await rm(folder, { recursive: true });
});

function toConfig({
  command,
  args,
  env = {},
}: {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}): { command: string; args: string[]; env: Record<string, string> } {
  return { command, args: [...args], env: { ...env } };
}
