import { expect, test } from "vitest";
import { resolveConfig, type VmcpConfigInput } from "../config/load-config.ts";
import { serverIdOf } from "./server-id.ts";

type BackendEntry = NonNullable<VmcpConfigInput["backends"]>[number];

const HTTP = { name: "b", url: "https://one.example/mcp" };
const STDIO = { name: "b", command: "node", args: ["a.mjs"] };

function idOf(backend: BackendEntry): readonly string[] {
  return resolveConfig({ backends: [backend] }).backends.map(serverIdOf);
}

test.for<[string, BackendEntry, BackendEntry]>([
  ["another address", HTTP, { ...HTTP, url: "https://two.example/mcp" }],
  ["another name", HTTP, { ...HTTP, name: "c" }],
  ["another program", STDIO, { ...STDIO, command: "deno" }],
  ["other arguments", STDIO, { ...STDIO, args: ["b.mjs"] }],
  ["arguments that read the same", STDIO, { name: "b", command: "node a.mjs" }],
  ["a program in place of an address", { name: "b", command: HTTP.url }, HTTP],
])("with %s it is another server", ([, left, right]) => {
  expect(idOf(left)).not.toEqual(idOf(right));
});

test.for<[string, BackendEntry, BackendEntry]>([
  ["other headers and times", HTTP, { ...HTTP, headers: { A: "b" }, timeouts: { call: "9s" } }],
  ["another way to the same address", HTTP, { ...HTTP, transport: "auto" }],
  ["another environment", STDIO, { ...STDIO, env: { A: "b" } }],
])("with %s it is the same server", ([, left, right]) => {
  expect(idOf(left)).toEqual(idOf(right));
});
