import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { afterAll, expect, test } from "vitest";
import { connectV1, textOf } from "./clients.ts";
import {
  everythingCommand,
  filesystemCommand,
  memoryCommand,
  startEverythingServer,
} from "./npm-servers.ts";
import { sendRaw } from "./raw-client.ts";

const folder = mkdtempSync(join(tmpdir(), "vmcp-npm-servers-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("server-everything serves streamable HTTP until it is stopped", async () => {
  const server = await startEverythingServer();
  await using connected = await connectV1(server.url);

  const result = await connected.client.callTool({ name: "echo", arguments: { message: "hi" } });
  await server.stop();

  expect(textOf(result)).toContain("hi");
  await expect(sendRaw(server.url)).rejects.toThrow("ECONNREFUSED");
});

test.for([
  ["everything", everythingCommand(), "echo"],
  ["memory", memoryCommand(join(folder, "memory.json")), "read_graph"],
  ["filesystem", filesystemCommand(folder), "read_text_file"],
] as const)("server-%s serves stdio", async ([, { command, args, ...rest }, tool]) => {
  writeFileSync(join(folder, "sample.txt"), "sample");
  const client = new Client({ name: "test", version: "1" });
  const transport = new StdioClientTransport({
    command,
    args: [...args],
    stderr: "ignore",
    ...("env" in rest && { env: { ...rest.env } }),
  });
  await client.connect(transport);

  const { tools } = await client.listTools();

  expect(tools.map(({ name }) => name)).toContain(tool);
  await client.close();
});
