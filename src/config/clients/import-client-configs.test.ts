import { expect, test } from "vitest";
import { parse } from "../testing/parse.ts";
import type { ClientHost } from "./find-client-configs.ts";
import type { ImportedConfig } from "./import-client-configs.ts";
import { importClientConfigs } from "./import-client-configs.ts";
import { renderConfigYaml } from "./render-config-yaml.ts";

type Files = Readonly<Record<string, { readonly host: ClientHost; readonly content: unknown }>>;

function importAll(files: Files): ImportedConfig {
  const list = Object.entries(files).map(([path, { host }]) => ({ host, path }));
  return importClientConfigs(list, {
    home: "/home/me",
    cwd: "/project/p",
    readFile: (path) => {
      const content = files[path]?.content;
      if (content === undefined) throw new Error("does not exist");
      return typeof content === "string" ? content : JSON.stringify(content);
    },
  });
}

function importOne(servers: unknown): ImportedConfig {
  return importAll({ "/f/mcp.json": { host: "cursor", content: { mcpServers: servers } } });
}

test("files are merged: equal servers once, different ones of one name with a suffix", () => {
  const same = { command: "x", args: ["1"] };
  const imported = importAll({
    "/a/mcp.json": { host: "cursor", content: { mcpServers: { s: same, only: { command: "o" } } } },
    "/b/mcp.json": { host: "vscode", content: { servers: { s: { args: ["1"], command: "x" } } } },
    "/c/mcp.json": { host: "cursor", content: { mcpServers: { s: { command: "y" } } } },
    "/d/mcp.json": { host: "cursor", content: { mcpServers: { s: { command: "y" } } } },
  });

  expect(imported.warnings).toEqual([]);
  expect(imported.input).toEqual({
    backends: [
      { name: "s", command: "x", args: ["1"] },
      { name: "only", command: "o" },
      { name: "s_2", command: "y" },
    ],
    operational: { sessionManagementV2: true },
  });
});

test("secrets become variables that are named, and other values stay", () => {
  const imported = importOne({
    one: {
      command: "npx",
      args: ["-y", "pkg", "--api-key", "k-123", "--token=t-123", "--mode", "fast", "--monkey=2"],
      env: { GITHUB_TOKEN: "ghp_secret", DEBUG: "1", MONKEY: "no", API_KEY: "${API_KEY}" },
    },
    "two-b": {
      url: "https://a.example/mcp?apiKey=q-123&page=2",
      headers: { Authorization: "Bearer b-123", "X-Team": "blue" },
    },
  });

  expect(imported.input["backends"]).toEqual([
    {
      name: "one",
      command: "npx",
      args: [
        "-y",
        "pkg",
        "--api-key",
        "${env:ONE_API_KEY}",
        "--token=${env:ONE_TOKEN}",
        "--mode",
        "fast",
        "--monkey=2",
      ],
      env: { GITHUB_TOKEN: "${env:GITHUB_TOKEN}", DEBUG: "1", MONKEY: "no", API_KEY: "${API_KEY}" },
    },
    {
      name: "two-b",
      transport: "auto",
      url: "https://a.example/mcp?apiKey=${env:TWO_B_APIKEY}&page=2",
      headers: { Authorization: "Bearer ${env:TWO_B_AUTHORIZATION}", "X-Team": "blue" },
    },
  ]);
  expect(imported.variables.map(({ name }) => name).toSorted()).toEqual([
    "GITHUB_TOKEN",
    "ONE_API_KEY",
    "ONE_TOKEN",
    "TWO_B_APIKEY",
    "TWO_B_AUTHORIZATION",
  ]);
  expect(JSON.stringify(imported)).not.toMatch(/-123|ghp_/);
});

test("one secret has one variable, and two secrets of one name have two", () => {
  const imported = importOne({
    a: { command: "x", env: { TOKEN: "first" } },
    b: { command: "x", env: { TOKEN: "first" } },
    c: { command: "x", env: { TOKEN: "second" } },
  });

  expect(imported.input["backends"]).toMatchObject([
    { env: { TOKEN: "${env:TOKEN}" } },
    { env: { TOKEN: "${env:TOKEN}" } },
    { env: { TOKEN: "${env:TOKEN_2}" } },
  ]);
});

test("a server whose transport only one file says is one server", () => {
  const url = "https://a.example/mcp";
  const imported = importAll({
    "/a/mcp.json": { host: "cursor", content: { mcpServers: { docs: { url } } } },
    "/b/mcp.json": { host: "cursor", content: { mcpServers: { docs: { type: "http", url } } } },
    "/c/mcp.json": { host: "cursor", content: { mcpServers: { docs: { type: "sse", url } } } },
    "/d/mcp.json": { host: "cursor", content: { mcpServers: { wiki: { type: "sse", url } } } },
    "/e/mcp.json": { host: "cursor", content: { mcpServers: { wiki: { type: "http", url } } } },
  });

  expect(imported.input["backends"]).toMatchObject([
    { name: "docs", transport: "auto" },
    { name: "wiki", transport: "sse" },
    { name: "wiki_2" },
  ]);
});

test("a file that cannot be read is skipped and named", () => {
  const imported = importAll({
    "/a/mcp.json": { host: "cursor", content: "{broken" },
    "/b/mcp.json": { host: "cursor", content: undefined },
    "/c/mcp.json": { host: "cursor", content: { mcpServers: { ok: { command: "x" } } } },
  });

  expect(imported.input["backends"]).toEqual([{ name: "ok", command: "x" }]);
  expect(new Set(imported.warnings.map(({ file }) => file))).toEqual(
    new Set(["/a/mcp.json", "/b/mcp.json"]),
  );
});

test("what is left out is reported with its place in its file", () => {
  const content = '{\n"mcpServers": {\n"a": {"type": "ws", "url": "wss://x.y"}}}';
  const imported = importAll({ "/a/mcp.json": { host: "cursor", content } });

  expect(imported.warnings).toMatchObject([
    { file: "/a/mcp.json", line: 3, column: 1, path: "mcpServers.a" },
  ]);
});

test("folders that only the client knows are written out", () => {
  const imported = importAll({
    "/project/p/.vscode/mcp.json": {
      host: "vscode",
      content: { servers: { a: { command: "${workspaceFolder}/run", args: ["${userHome}"] } } },
    },
  });

  expect(imported.input["backends"]).toEqual([
    { name: "a", command: "/project/p/run", args: ["/home/me"] },
  ]);
});

test("the history file brings the servers of the project at hand", () => {
  const content = {
    mcpServers: { user: { command: "u" } },
    projects: { "/project/p": { mcpServers: { local: { command: "l" } } } },
  };
  const imported = importAll({ "/home/me/.claude.json": { host: "claude-code", content } });

  expect(imported.input["backends"]).toMatchObject([{ name: "user" }, { name: "local" }]);
});

test("the result as YAML names its variables and loads once they are set", () => {
  const imported = importOne({
    "odd name": {
      command: "x",
      args: ["yes", "08", "a: b", "#no", "multi\nline", "$${literal}"],
      env: { MY_TOKEN: "s3cret" },
      includeTools: ["t"],
    },
    web: { url: "https://a.example/mcp" },
  });

  const text = renderConfigYaml(imported.input, imported.variables);
  const { config, warnings } = parse(text, { env: { MY_TOKEN: "again" } });

  expect(text).toMatch(
    /^# Set these variables before the start:\n# {3}MY_TOKEN {2}\(odd_name: env/,
  );
  expect(text).not.toContain("s3cret");
  expect(warnings).toEqual([]);
  expect(config.operational.sessionManagementV2).toBe(true);
  expect(config.aggregation.tools).toMatchObject([{ workload: "odd_name", filter: ["t"] }]);
  expect(config.backends).toMatchObject([
    {
      name: "odd_name",
      args: ["yes", "08", "a: b", "#no", "multi\nline", "${literal}"],
      env: { MY_TOKEN: "again" },
    },
    { name: "web", url: "https://a.example/mcp" },
  ]);
});

test("a name from a client's file cannot break out of the comment", () => {
  const text = renderConfigYaml({}, [{ name: "A", usedBy: "x\nbackends: []\u2028y" }]);

  expect(text.split("\n").filter((line) => line.startsWith("backends"))).toEqual([]);
});
