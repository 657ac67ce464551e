import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { backendsFromFlags } from "./backend-flags.ts";
import { loadConfig, resolveConfig } from "./load-config.ts";
import { ConfigError } from "./problems.ts";
import { parse, problemPathsOf, problemsOf } from "./testing/parse.ts";

const ONE_BACKEND = "backends: [{name: b1, url: 'http://127.0.0.1:1/mcp'}]\n";

let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "vmcp-load-"));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

function caught(run: () => unknown): ConfigError {
  try {
    run();
  } catch (thrown) {
    if (thrown instanceof ConfigError) return thrown;
    throw thrown;
  }
  throw new Error("nothing was thrown");
}

test("one backend is a whole configuration; everything else has a default", () => {
  const { config, kind, warnings } = parse(ONE_BACKEND);

  expect({ kind, warnings }).toEqual({ kind: "vmcp", warnings: [] });
  expect(config).toEqual({
    comparable: expect.anything(),
    name: "vmcp",
    groupRef: undefined,
    backends: [
      {
        name: "b1",
        transport: "streamable-http",
        url: "http://127.0.0.1:1/mcp",
        headers: {},
        caBundlePath: undefined,
        isolation: "request",
        revision: "auto",
        timeouts: {
          connectMs: 2000,
          startMs: 30_000,
          callMs: 120_000,
          toolsMs: {},
          callMaxMs: 1_800_000,
          clientAnswerMs: 600_000,
        },
        maxConcurrentCalls: 64,
        validateArguments: false,
        trustAnnotations: false,
      },
    ],
    aggregation: {
      strategy: "prefix",
      prefixFormat: "{workload}_",
      priorityOrder: [],
      maxNameLength: 64,
      excludeAllTools: false,
      defaultToolVisibility: "allow",
      tools: [],
      resources: [],
      prompts: [],
    },
    operational: {
      sessionManagementV2: false,
      sessionManagementV2Named: false,
      logLevel: "info",
      failureHandling: {
        healthCheckIntervalMs: 30_000,
        unhealthyThreshold: 3,
        healthCheckTimeoutMs: 10_000,
        partialFailureMode: "best_effort",
        circuitBreaker: { enabled: true, failureThreshold: 5, timeoutMs: 60_000 },
      },
      sessions: {
        idleTtlMs: 1_800_000,
        unusedTtlMs: 300_000,
        absoluteTtlMs: 86_400_000,
        maxSessions: 1000,
        maxSessionsPerIdentity: 10,
        evictIdleAfterMs: 300_000,
        startDeadlineMs: 5000,
        drainDeadlineMs: 25_000,
        shutdownGraceMs: 5_000,
        maxBackendStartConcurrency: 10,
        maxGlobalBackendStartConcurrency: 64,
      },
    },
    server: {
      host: "127.0.0.1",
      port: 4483,
      path: "/mcp",
      allowedHosts: [],
      allowedOrigins: [],
      legacySse: false,
      stateKeys: [],
      workers: 1,
    },
    limits: {
      requestBytes: 4_194_304,
      headerBytes: 16_384,
      jsonDepth: 64,
      idLength: 256,
      nameLength: 128,
      backendResponseBytes: 16_777_216,
      sseEventBytes: 4_194_304,
      stdioLineBytes: 10_485_760,
      streamBufferBytes: 1_048_576,
      headersTimeoutMs: 10_000,
      bodyTimeoutMs: 30_000,
      idleTimeoutMs: 75_000,
      keepAliveTimeoutMs: 65_000,
      maxConnections: undefined,
      failedRequestsPerMinute: 3000,
      callsPerProcess: 256,
      callsPerSession: 16,
      toolsPerBackend: 1000,
      descriptionBytes: 16_384,
      schemaBytes: 65_536,
      subSchemas: 2000,
      schemaDepth: 32,
    },
    audit: {
      enabled: false,
      component: "vmcp",
      eventTypes: [],
      excludeEventTypes: [],
      includeRequestData: false,
      includeResponseData: false,
      detectApplicationErrors: true,
      maxDataSize: 1024,
      logFile: undefined,
      onFailure: "deny",
    },
    incomingAuth: { type: "anonymous", isClientBound: false, toolScopes: {} },
    authz: undefined,
    rateLimiting: { shared: undefined, perUser: undefined, tools: [] },
    pinning: "off",
    lockFile: expect.stringMatching(/vmcp\.lock\.json$/),
  });
});

test("a file is read from disk, with paths in it relative to its folder", () => {
  const path = join(folder, "vmcp.yaml");
  writeFileSync(join(folder, "token"), "s3cret\n");
  writeFileSync(
    path,
    `backends:
  - {name: a, command: ./run, cwd: work}
  - {name: b, url: "https://example.com", caBundlePath: ca.pem, headers: {X-Token: "\${file:token}"}}
`,
  );

  const loaded = loadConfig({ path, env: {} });

  expect(loaded.path).toBe(path);
  expect(loaded.config.backends).toMatchObject([
    { transport: "stdio", command: "./run", cwd: join(folder, "work") },
    {
      url: "https://example.com/",
      caBundlePath: join(folder, "ca.pem"),
      headers: { "X-Token": "s3cret" },
    },
  ]);
});

test.for([
  ["/dev/zero", "is not a regular file"],
  ["/", "is a directory"],
  ["/absent/vmcp.yaml", "does not exist"],
] as const)("the file %s is refused at once", ([path, reason]) => {
  expect(() => loadConfig({ path, env: {} })).toThrow(ConfigError);
  expect(() => loadConfig({ path, env: {} })).toThrow(
    `${path}:1:1 the configuration file ${reason}`,
  );
});

test("a file larger than 1 MiB is refused", () => {
  const path = join(folder, "large.yaml");
  writeFileSync(path, `# ${"x".repeat(1024 ** 2)}\n${ONE_BACKEND}`);

  expect(() => loadConfig({ path, env: {} })).toThrow("is larger than 1048576 bytes");
});

test("every problem is reported at once, in the order of the file", () => {
  const text = `nmae: x
backends:
  - {name: "a b", url: "ftp://x"}
  - {name: ok, url: "http://127.0.0.1/", timeouts: {call: 5}}
  - {name: ok, command: x, url: "http://127.0.0.1/"}
aggregation: {conflictResolution: prefx}
server: {port: 70000, host: "http://x"}
limits: {requestBytes: lots}
`;

  expect(problemPathsOf(text).toSorted()).toEqual(
    [
      "nmae",
      "backends[0].name",
      "backends[0].url",
      "backends[1].timeouts.call",
      "backends[2].name",
      "backends[2].url",
      "aggregation.conflictResolution",
      "server.port",
      "server.host",
      "limits.requestBytes",
      "incomingAuth",
    ].toSorted(),
  );
  const lines = caught(() => parse(text)).problems.map(({ line }) => line);
  expect(lines).toEqual(lines.toSorted((left, right) => left - right));
});

test("a problem says where it is, what would be right, and what was probably meant", () => {
  const text = `${ONE_BACKEND}aggregation:\n  conflictResolution: prefx\nincommingAuth: {type: oidc}\n`;

  expect(() => parse(text)).toThrow(
    [
      'vmcp.yaml:3:3 aggregation.conflictResolution: must be one of prefix, prefixOnConflict, priority, manual, not "prefx" (did you mean "prefix"?)',
      'vmcp.yaml:4:1 incommingAuth: is not a known field (did you mean "incomingAuth"?)',
    ].join("\n"),
  );
});

test("policies beside a type that reads none are named, so that nobody believes in them", () => {
  const { warnings } = parse(`${ONE_BACKEND}
incomingAuth:
  type: anonymous
  authz: {type: none, policies: ["permit(principal, action, resource);"], groupClaimName: groups}
`);

  expect(warnings.map(({ path }) => path).toSorted()).toEqual([
    "incomingAuth.authz.groupClaimName",
    "incomingAuth.authz.policies",
  ]);
});

test("what merely tunes something that is not there yet is accepted and named in a warning", () => {
  const { warnings } = parse(`${ONE_BACKEND}
metadata: {team: a}
operational:
  failureHandling:
    statusReportingInterval: 30s
telemetry: {serviceName: x, tracingEnabled: false, samplingRate: "0.05"}
codeMode: {enabled: false}
sessionStorage: {provider: memory}
admin: {enabled: false}
`);

  expect(warnings.map(({ path }) => path).toSorted()).toEqual([
    "codeMode",
    "metadata",
    "operational.failureHandling.statusReportingInterval",
    "telemetry",
  ]);
  expect(warnings.every(({ message }) => message === "has no effect in this version")).toBe(true);
});

test.for(["0.0.0.0", "192.168.1.4", "::"])(
  "on %s a configuration without incomingAuth is refused, and anonymous must be said twice",
  (host) => {
    const base = `${ONE_BACKEND}server: {host: '${host}'}\n`;

    expect(problemPathsOf(base)).toEqual(["incomingAuth"]);
    expect(problemPathsOf(`${base}incomingAuth: {type: anonymous}\n`)).toEqual([
      "incomingAuth.type",
    ]);
    expect(
      problemPathsOf(`${base}incomingAuth: {type: anonymous, allowInsecureAnonymous: true}\n`),
    ).toEqual([]);
  },
);

test("a host given on the command line is held to the same rule", () => {
  const options = { overrides: { host: "0.0.0.0", port: 0 } };

  expect(problemPathsOf(ONE_BACKEND, options)).toEqual(["incomingAuth"]);
  const overrides = { ...options.overrides, allowInsecureAnonymous: true };
  expect(parse(ONE_BACKEND, { overrides }).config.server).toMatchObject({
    host: "0.0.0.0",
    port: 0,
  });
});

test("http to a public address needs to be asked for", () => {
  const text = "backends: [{name: b, url: 'http://example.com/mcp', allowInsecureHttp: true}]\n";

  expect(problemsOf(text)).toEqual([]);
});

test("outgoing headers are merged into each backend's own, the nearer one winning", () => {
  const text = `
backends:
  - {name: a, url: "https://a.example"}
  - {name: b, url: "https://b.example", headers: {x-key: own, X-Other: o}}
  - {name: c, url: "https://c.example"}
  - {name: d, url: "https://d.example"}
  - {name: e, command: x}
outgoingAuth:
  default: {type: header_injection, headerName: X-Key, headerValue: "\${KEY}"}
  backends:
    c: {type: header_injection, headerInjection: {headerName: Authorization, headerValueEnv: TOKEN}}
    d: {type: unauthenticated}
`;

  const { config } = parse(text, { env: { KEY: "k", TOKEN: "Bearer t" } });

  const headers = config.backends.map((backend) =>
    backend.transport === "stdio" ? "none" : backend.headers,
  );
  expect(headers).toEqual([
    { "X-Key": "k" },
    { "x-key": "own", "X-Other": "o" },
    { Authorization: "Bearer t" },
    {},
    "none",
  ]);
});

test("the timeout of a call comes from the backend, else from its workload, else from the default", () => {
  const text = `
backends:
  - {name: a, url: "https://a.example", timeouts: {call: 1s}}
  - {name: b, url: "https://b.example"}
  - {name: c, url: "https://c.example", timeouts: {callMax: 10s}}
operational: {timeouts: {default: 45m, perWorkload: {a: 2s, b: 2s, gone: 3s}}}
`;

  const { config, warnings } = parse(text);

  expect(config.backends.map(({ timeouts }) => [timeouts.callMs, timeouts.callMaxMs])).toEqual([
    [1000, 1_800_000],
    [2000, 1_800_000],
    [2_700_000, 2_700_000],
  ]);
  expect(warnings.map(({ path }) => path)).toEqual(["operational.timeouts.perWorkload.gone"]);
});

test("sessions are session-scoped where the file says so, where nobody speaks of it in an object, and in no other case", () => {
  const object = { backends: [{ name: "b1", url: "http://127.0.0.1/" }] };
  const on = parse(`${ONE_BACKEND}operational: {sessionManagementV2: true}\n`).config;

  expect(parse(`${ONE_BACKEND}operational: {logLevel: debug}\n`).config.operational).toMatchObject({
    sessionManagementV2: false,
    sessionManagementV2Named: false,
  });
  expect(on.operational).toMatchObject({
    sessionManagementV2: true,
    sessionManagementV2Named: true,
  });
  expect(on.backends[0]?.isolation).toBe("session");
  expect(resolveConfig(object).operational.sessionManagementV2).toBe(true);
  expect(resolveConfig({ ...object, operational: {} }).operational.sessionManagementV2).toBe(false);
});

test("a backend may differ from what the flag says", () => {
  const text = `
backends:
  - {name: a, url: "https://a.example", isolation: request}
  - {name: b, url: "https://b.example"}
operational: {sessionManagementV2: true}
`;

  expect(parse(text).config.backends.map(({ isolation }) => isolation)).toEqual([
    "request",
    "session",
  ]);
});

test("TOOLHIVE_MAX_SESSIONS counts where the file does not say how many sessions", () => {
  const named = `${ONE_BACKEND}operational: {sessions: {maxSessions: 5}}\n`;
  const env = { TOOLHIVE_MAX_SESSIONS: "77" };

  expect(parse(ONE_BACKEND, { env }).config.operational.sessions.maxSessions).toBe(77);
  expect(parse(named, { env }).config.operational.sessions.maxSessions).toBe(5);
  expect(problemPathsOf(ONE_BACKEND, { env: { TOOLHIVE_MAX_SESSIONS: "-1" } })).toEqual([
    "operational.sessions.maxSessions",
  ]);
});

test("a configuration in the shape that ToolHive writes starts, with a warning for each thing that does nothing", () => {
  const { config, warnings } = parse(
    `
name: team-tools
groupRef: engineering
incomingAuth:
  type: anonymous
outgoingAuth:
  source: inline
  default: {type: unauthenticated}
  backends:
    tickets:
      type: header_injection
      headerInjection: {headerName: Authorization, headerValueEnv: TICKETS_TOKEN}
aggregation:
  conflictResolution: priority
  conflictResolutionConfig: {prefixFormat: "{workload}.", priorityOrder: [code, tickets, retired]}
  tools:
    - workload: code
      filter: [search, "read_*"]
      overrides:
        search: {name: find, description: Find code, annotations: {readOnlyHint: true}}
    - {workload: tickets, excludeAll: true}
backends:
  - {name: code, url: "http://code:8080/mcp", transport: streamable-http, metadata: {env: prod}}
  - {name: tickets, url: "https://tickets.example/mcp", transport: streamable-http, type: entry}
operational:
  timeouts: {default: 30s, perWorkload: {code: 45s}}
  failureHandling:
    healthCheckInterval: 30s
    unhealthyThreshold: 3
    healthCheckTimeout: 10s
    statusReportingInterval: 30s
    partialFailureMode: fail
    circuitBreaker: {enabled: true, failureThreshold: 5, timeout: 60s}
telemetry: {serviceName: team-tools, tracingEnabled: false, metricsEnabled: false}
audit: {enabled: false}
`,
    { env: { TICKETS_TOKEN: "Bearer x" } },
  );

  expect(config).toMatchObject({
    name: "team-tools",
    groupRef: "engineering",
    backends: [
      { name: "code", headers: {}, timeouts: { callMs: 45_000 } },
      { name: "tickets", headers: { Authorization: "Bearer x" }, timeouts: { callMs: 30_000 } },
    ],
    aggregation: {
      strategy: "priority",
      prefixFormat: "{workload}.",
      priorityOrder: ["code", "tickets"],
      tools: [
        {
          workload: "code",
          filter: ["search", "read_*"],
          overrides: {
            search: { name: "find", description: "Find code", annotations: { readOnlyHint: true } },
          },
          excludeAll: false,
        },
        { workload: "tickets", excludeAll: true, overrides: {} },
      ],
    },
    operational: { sessionManagementV2: false, failureHandling: { partialFailureMode: "fail" } },
  });
  expect(warnings.map(({ path }) => path).toSorted()).toEqual([
    "aggregation.conflictResolutionConfig.priorityOrder[2]",
    "backends[0].metadata",
    "backends[1].type",
    "operational.failureHandling.statusReportingInterval",
    "telemetry",
  ]);
});

test.for([
  ["", "streamable-http"],
  ["transport: streamable-http", "streamable-http"],
  ["transport: sse", "sse"],
  ["transport: auto", "auto"],
])("a backend over HTTP with %j is spoken to over %s", ([field, transport]) => {
  const { config } = parse(`backends: [{name: a, url: "https://a.example/sse", ${field}}]\n`);

  expect(config.backends).toMatchObject([{ transport, url: "https://a.example/sse" }]);
});

test("the accepted aliases mean the same as the fields they stand for", () => {
  const { config } = parse(`
group: g
backends:
  - {name: a, url: "https://a.example", transport: streamable}
  - {name: b, stdio: {command: /usr/bin/env, args: [], env: {A: b}, cwd: /tmp}}
`);

  expect(config.groupRef).toBe("g");
  expect(config.backends).toMatchObject([
    { transport: "streamable-http" },
    {
      transport: "stdio",
      command: "/usr/bin/env",
      args: [],
      env: { A: "b" },
      cwd: resolve("/tmp"),
    },
  ]);
});

test("a JSON configuration of ours is read like the YAML one", () => {
  const text = '{\n  // comment\n  "backends": [{"name": "a", "url": "https://a.example"}],\n}';

  expect(parse(text, { fileName: "vmcp.json" })).toMatchObject({
    kind: "vmcp",
    config: { backends: [{ name: "a" }] },
  });
});

test("an object is checked like a file", () => {
  const input = { backends: [{ name: "a", url: "https://a.example", tiemouts: {} }] };

  expect(() => resolveConfig(input)).toThrow(
    'config:1:1 backends[0].tiemouts: is not a known field (did you mean "timeouts"?)',
  );
  expect(() => resolveConfig(undefined)).toThrow("must be a mapping");
});

test("references in an object are resolved from the environment that is given with it", () => {
  const input = { backends: [{ name: "a", url: "https://a.example", headers: { A: "${T}" } }] };

  expect(resolveConfig(input, { env: { T: "t" } }).backends).toMatchObject([
    { headers: { A: "t" } },
  ]);
  expect(() => resolveConfig(input)).toThrow("environment variable T");
});

test("flags make a configuration with one backend each, and no shell sees a command", () => {
  const input = backendsFromFlags([
    "web=https://a.example/mcp?x=1",
    `files=npx -y "my server" /tmp/a\\ b; rm -rf *`,
  ]);

  const config = resolveConfig(input);

  expect(config.operational.sessionManagementV2).toBe(true);
  expect(config.backends).toMatchObject([
    { name: "web", transport: "streamable-http", url: "https://a.example/mcp?x=1" },
    {
      name: "files",
      transport: "stdio",
      command: "npx",
      args: ["-y", "my server", "/tmp/a b;", "rm", "-rf", "*"],
    },
  ]);
});

test("every bad flag is named", () => {
  const flags = ["https://a.example", "a b=x", "ok=run", 'c="open'];

  const { problems } = caught(() => backendsFromFlags(flags));

  expect(problems.map(({ message }) => message)).toEqual([
    expect.stringContaining("must be NAME=URL"),
    expect.stringContaining('"a b" is not a backend name'),
    expect.stringContaining("the command of c has a quote that is not closed"),
  ]);
});
