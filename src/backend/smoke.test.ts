import { test } from "vitest";
import { createBackendConnector } from "./connector.ts";
import { HttpPools } from "./streamable-http/http-pools.ts";
import { parseBackendName } from "../domain/ids.ts";
import { spawn } from "node:child_process";
import { resolve } from "node:path";
const logger = { debug: console.log, info: console.log, warn: console.log, error: console.log };
test("stdio memory", async () => {
  const c = createBackendConnector({ name: parseBackendName("m"), transport: "stdio", command: process.execPath, args: [resolve("node_modules/@modelcontextprotocol/server-everything/dist/index.js"), "stdio"], logger });
  const t = performance.now();
  const p = await c.probe(AbortSignal.timeout(10000));
  console.log(performance.now() - t, p.greeting, p.capabilities.tools.length, p.capabilities.resources.length, p.capabilities.prompts.map((x) => x.json.slice(0, 80)));
});
test("http everything", async () => {
  const child = spawn(process.execPath, [resolve("node_modules/@modelcontextprotocol/server-everything/dist/index.js"), "streamableHttp"], { env: { ...process.env, PORT: "39871" }, stdio: "inherit" });
  await new Promise((r) => setTimeout(r, 1500));
  const http = new HttpPools();
  const c = createBackendConnector({ name: parseBackendName("m"), transport: "streamable-http", url: "http://127.0.0.1:39871/mcp", http, logger });
  const p = await c.probe(AbortSignal.timeout(10000));
  console.log(p.greeting, p.capabilities.tools.length);
  await http[Symbol.asyncDispose]();
  child.kill();
});
