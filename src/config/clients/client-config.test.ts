import { expect, test } from "vitest";
import type { LoadedConfig } from "../load-config.ts";
import { parse, problemPathsOf } from "../testing/parse.ts";
import { isClientConfig } from "./client-servers.ts";
import { uniqueName } from "./convert-client-config.ts";

function parseClient(value: unknown, fileName = "mcp.json", env = {}): LoadedConfig {
  return parse(JSON.stringify(value), { fileName, env });
}

function warningsOf({ warnings }: LoadedConfig): readonly string[] {
  return warnings.map(({ path }) => path);
}

const URL_SERVER = { url: "https://a.example/mcp" };

test.for([
  ["mcpServers", { mcpServers: { a: URL_SERVER } }],
  ["servers", { inputs: [], servers: { a: { type: "http", ...URL_SERVER } } }],
  ["mcp.servers", { mcp: { servers: { a: { type: "remote", ...URL_SERVER } } } }],
  ["a flattened mcp.servers", { "mcp.servers": { a: URL_SERVER }, "editor.fontSize": 12 }],
  ["mcp", { $schema: "x", mcp: { a: { type: "remote", ...URL_SERVER } }, server: { port: 1 } }],
  ["context_servers", { theme: "One", context_servers: { a: URL_SERVER } }],
  ["mcp_servers", { mcp_servers: { a: URL_SERVER } }],
] as const)("servers under %s make a client configuration", ([_key, value]) => {
  const loaded = parseClient(value);

  expect(loaded).toMatchObject({
    kind: "client",
    warnings: [],
    config: {
      backends: [{ name: "a", url: "https://a.example/mcp" }],
      operational: { sessionManagementV2: true, sessionManagementV2Named: false },
    },
  });
});

test.for([
  ["json", { backends: [], mcpServers: {} }],
  ["json", { incommingAuth: { type: "oidc" }, mcpServers: { a: URL_SERVER } }],
  ["json", { server: { port: 1 }, mcpServers: { a: URL_SERVER } }],
  ["json", { aggregation: {}, servers: { a: URL_SERVER } }],
  ["json", { theme: "x" }],
  ["json", []],
  ["yaml", { name: "x", mcpServers: { a: URL_SERVER } }],
] as const)("%s with %j is not a client's", ([format, value]) => {
  expect(isClientConfig(value, format)).toBe(false);
});

test("a misspelt block of ours beside servers is an error and not an open door", () => {
  const text = "incommingAuth: {type: oidc}\nmcpServers: {a: {url: 'https://a.example'}}\n";

  expect(problemPathsOf(text)).toEqual(["incommingAuth"]);
  expect(
    problemPathsOf('{"incommingAuth": {}, "mcpServers": {"a": {"command": "x"}}}', {
      fileName: "mcp.json",
    }),
  ).toEqual(["incommingAuth"]);
});

test("programs keep their command, arguments, environment and folder", () => {
  const { config } = parseClient(
    {
      mcpServers: {
        a: {
          command: "npx",
          args: ["-y", "pkg"],
          env: { PORT: 80, ON: true, T: "${TOKEN}" },
          cwd: "/w",
        },
        b: { type: "local", command: ["node", "s.js"], environment: { A: "$TOKEN" } },
        c: { command: { path: "run", args: ["x"], env: { A: "b" } }, source: "custom" },
      },
    },
    "mcp.json",
    { TOKEN: "t" },
  );

  expect(config.backends).toMatchObject([
    { command: "npx", args: ["-y", "pkg"], env: { PORT: "80", ON: "true", T: "t" }, cwd: "/w" },
    { command: "node", args: ["s.js"], env: { A: "t" } },
    { command: "run", args: ["x"], env: { A: "b" } },
  ]);
});

test.for([
  { httpUrl: "https://a.example/mcp" },
  { type: "streamable-http", url: "https://a.example/mcp" },
  { type: "streamableHttp", url: "https://a.example/mcp" },
  { transport: "http", url: "https://a.example/mcp" },
])("%j is a streamable HTTP server", (server) => {
  expect(parseClient({ mcpServers: { a: server } }).config.backends).toMatchObject([
    { transport: "streamable-http", url: "https://a.example/mcp" },
  ]);
});

test.for([
  { type: "sse", url: "https://a.example/mcp" },
  { transport: "SSE", url: "https://a.example/mcp" },
])("%j is a server over HTTP+SSE", (server) => {
  expect(parseClient({ mcpServers: { a: server } }).config.backends).toMatchObject([
    { transport: "sse", url: "https://a.example/mcp" },
  ]);
});

test.for([
  { url: "https://a.example/mcp" },
  { url: "https://a.example/sse" },
  { serverUrl: "https://a.example/mcp" },
  { type: "remote", url: "https://a.example/mcp" },
])("of %j the transport is found out by trying", (server) => {
  const loaded = parseClient({ mcpServers: { a: server } });

  expect(loaded.config.backends).toMatchObject([{ transport: "auto" }]);
  expect(warningsOf(loaded)).toEqual([]);
});

test("a websocket server is left out with a warning and the others still serve", () => {
  const socket = { type: "ws", url: "wss://a.example" };
  const loaded = parseClient({ mcpServers: { a: socket, b: { command: "x" } } });

  expect(loaded.config.backends.map(({ name }) => name)).toEqual(["b"]);
  expect(warningsOf(loaded)).toEqual(["mcpServers.a"]);
});

test("in one client's settings a url without a type means SSE", () => {
  const servers = { mcpServers: { a: URL_SERVER, b: { ...URL_SERVER, type: "http" } } };
  const { config } = parseClient(servers, "/project/.gemini/settings.json");

  expect(config.backends).toMatchObject([
    { name: "a", transport: "sse" },
    { name: "b", transport: "streamable-http" },
  ]);
});

test("servers that are switched off or excluded are not started", () => {
  const { config, warnings } = parseClient({
    mcpServers: {
      a: { command: "x", disabled: true },
      b: { command: "x", enabled: false },
      c: { command: "x", disabled: false, enabled: true },
      d: { command: "x" },
    },
    mcp: { excluded: ["d"] },
  });

  expect(config.backends.map(({ name }) => name)).toEqual(["c"]);
  expect(warnings).toEqual([]);
});

test("a file in which no server is left is refused", () => {
  const text = JSON.stringify({ mcpServers: { a: { command: "x", disabled: true } } });

  expect(problemPathsOf(text, { fileName: "mcp.json" })).toEqual(["backends"]);
});

test("what cannot be resolved or understood is refused at its place in the client's file", () => {
  const text = `{
  "mcpServers": {
    "a": {"command": "x", "env": {"TOKEN": "\${input:token}", "KEY": "\${KEY}"}},
    "b": {"type": "remote", "url": "\${URL}"},
    "c": {"type": "carrier-pigeon"},
    "d": {},
    "e": {"type": "local", "command": ["x", "\${ARG}"], "environment": {"A": "\${ENV}"}},
    "f": {"serverUrl": "ftp://x"},
    "g": {"command": "x", "envFile": ".env"}
  }
}`;

  expect(problemPathsOf(text, { fileName: "mcp.json" })).toEqual([
    "mcpServers.a.env.TOKEN",
    "mcpServers.a.env.KEY",
    "mcpServers.b.url",
    "mcpServers.c.type",
    "mcpServers.d",
    "mcpServers.e.command[1]",
    "mcpServers.e.environment.A",
    "mcpServers.f.serverUrl",
    "mcpServers.g.envFile",
  ]);
  expect(() => parse(text, { fileName: "mcp.json" })).toThrow(
    "mcp.json:7:45 mcpServers.e.command[1]: needs the environment variable ARG",
  );
});

test("${VAR:-default}, ${userHome} and ${workspaceFolder} work where clients write them", () => {
  const server = {
    command: "x",
    args: ["${A:-one}", "${userHome}/b", "${workspaceFolder}/c", "${env:D}"],
    cwd: "sub",
  };
  const { config } = parseClient({ servers: { a: server } }, "/project/p/.vscode/mcp.json", {
    HOME: "/home/me",
    D: "four",
  });

  expect(config.backends).toMatchObject([
    { args: ["one", "/home/me/b", "/project/p/c", "four"], cwd: "/project/p/sub" },
  ]);
});

test("headers that the gateway writes itself are left out with a warning", () => {
  const headers = { Accept: "application/json", "X-Key": "${K}" };
  const loaded = parseClient({ mcpServers: { a: { ...URL_SERVER, headers } } }, "mcp.json", {
    K: "k",
  });

  expect(loaded.config.backends).toMatchObject([{ headers: { "X-Key": "k" } }]);
  expect(warningsOf(loaded)).toEqual(["mcpServers.a.headers.Accept"]);
});

test("names that backends cannot have are changed, stay unique, and are reported", () => {
  const server = { command: "x" };
  const loaded = parseClient({
    mcpServers: { "my server": server, my_server: server, "": server },
  });

  expect(loaded.config.backends.map(({ name }) => name)).toEqual([
    "my_server",
    "my_server_2",
    "server",
  ]);
  expect(warningsOf(loaded)).toEqual([
    'mcpServers["my server"]',
    "mcpServers.my_server",
    'mcpServers[""]',
  ]);
});

test("a made-up name is never longer than 48 characters", () => {
  const long = "x".repeat(60);

  const first = uniqueName(long, new Set());
  const second = uniqueName(long, new Set([first]));

  expect([first.length, second.length]).toEqual([48, 48]);
  expect(second).not.toBe(first);
});

test("an allow list of tools becomes a filter, and what has no effect is reported", () => {
  const loaded = parseClient({
    mcpServers: {
      a: { command: "x", includeTools: ["one"], excludeTools: ["two"], trust: true, timeout: 5 },
    },
  });

  expect(loaded.config.aggregation.tools).toMatchObject([{ workload: "a", filter: ["one"] }]);
  expect(warningsOf(loaded)).toEqual(["mcpServers.a.excludeTools"]);
});

test("TOML is read with its headers from variables", () => {
  const text = `model = "x"
[mcp_servers.docs]
url = "https://a.example/mcp"
bearer_token_env_var = "DOCS_TOKEN"
env_http_headers = { X-Team = "TEAM" }
[mcp_servers.local]
command = "run"
args = ["a"]
enabled_tools = ["t"]
[mcp_servers.local.env]
A = "b"
`;

  const { config, kind } = parse(text, {
    fileName: "config.toml",
    env: { DOCS_TOKEN: "t", TEAM: "blue" },
  });

  expect(kind).toBe("client");
  expect(config.backends).toMatchObject([
    { name: "docs", headers: { Authorization: "Bearer t", "X-Team": "blue" } },
    { name: "local", command: "run", args: ["a"], env: { A: "b" } },
  ]);
  expect(problemPathsOf(text, { fileName: "config.toml" })).toEqual([
    "mcp_servers.docs.env_http_headers.X-Team",
    "mcp_servers.docs.bearer_token_env_var",
  ]);
});

test("a history file serves its user's servers and those of the project at hand", () => {
  const history = {
    numStartups: 7,
    mcpServers: { user: { command: "u" } },
    projects: {
      "/project/p": { mcpServers: { local: { command: "l" } } },
      "/other": { mcpServers: { other: { command: "o" } } },
    },
  };
  const text = JSON.stringify(history);

  const names = (cwd?: string): readonly string[] =>
    parse(text, {
      fileName: ".claude.json",
      ...(cwd === undefined ? {} : { cwd }),
    }).config.backends.map(({ name }) => name);

  expect(names()).toEqual(["user"]);
  expect(names("/project/p")).toEqual(["user", "local"]);
});

test("mcpServers in a file of ours are merged with its backends and held to our rules", () => {
  const base = `
backends: [{name: a, url: "https://a.example"}]
operational: {sessionManagementV2: false}
aggregation: {tools: [{workload: b, filter: [x]}]}
mcpServers:
`;

  expect(parse(`${base}  b: {command: x}\n`).config.backends).toMatchObject([
    { name: "a" },
    { name: "b", command: "x", isolation: "request" },
  ]);
  expect(problemPathsOf(`${base}  b: {type: ws, url: "wss://b.example"}\n`)).toEqual([
    "mcpServers.b",
  ]);
  expect(problemPathsOf(`${base}  a: {command: x}\n  b: {command: x}\n`)).toEqual(["mcpServers.a"]);
  expect(problemPathsOf(`${base}  b: {command: x, env: {A: "\${NO}"}}\n`)).toEqual([
    "mcpServers.b.env.A",
  ]);
});

test("an allow list under mcpServers joins the rules of the file, and may not contradict them", () => {
  const text = `
aggregation: {tools: [{workload: a, filter: [x]}]}
mcpServers:
  a: {command: x}
  b: {command: x, includeTools: [y]}
`;

  expect(parse(text).config.aggregation.tools).toMatchObject([
    { workload: "a", filter: ["x"] },
    { workload: "b", filter: ["y"] },
  ]);
  expect(problemPathsOf(text.replace("workload: a", "workload: b"))).toEqual([
    "mcpServers.b.includeTools.workload",
  ]);
});

test("mcpServers that are no mapping are refused", () => {
  expect(problemPathsOf("name: x\nmcpServers: [a]\n")).toContain("mcpServers");
});
