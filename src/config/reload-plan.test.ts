import { describe, expect, test } from "vitest";
import { compareConfigs, planReload, type PlanChange } from "./reload-plan.ts";
import { parse } from "./testing/parse.ts";
import type { VmcpConfig } from "./vmcp-config.ts";

const HTTP = "{ name: a, url: http://127.0.0.1:1/mcp }";
const STDIO = "{ name: s, command: run, args: [x] }";

describe("a backend", () => {
  test.for([
    ["is added", `[${HTTP}]`, `[${HTTP}, ${STDIO}]`, [{ kind: "backend_added", backend: "s" }]],
    [
      "is removed",
      `[${HTTP}, ${STDIO}]`,
      `[${STDIO}]`,
      [{ kind: "backend_removed", backend: "a" }],
    ],
    ["has another place in the file", `[${HTTP}, ${STDIO}]`, `[${STDIO}, ${HTTP}]`, []],
    [
      "is written in another way",
      `[${HTTP}]`,
      "[{ url: 'http://127.0.0.1:1/mcp', name: a, revision: auto }]",
      [],
    ],
  ] as const)("that %s", ([, running, next, expected]) => {
    const changes = changesBetween(`backends: ${running}`, `backends: ${next}`);

    expect(changes).toEqual(expected);
  });

  test.for([
    ["url: http://127.0.0.1:2/mcp", ["url"], "replace"],
    ["command: run, args: [x, y]", ["args"], "replace"],
    ["headers: { x-a: b }", ["headers"], "reconnect"],
    ["revision: 2025-03-26", ["revision"], "reconnect"],
    ["isolation: session", ["isolation"], "reconnect"],
    ["timeouts: { connect: 1s }", ["timeouts.connect"], "reconnect"],
    ["timeouts: { call: 1s }", ["timeouts.call"], "keep"],
    ["timeouts: { callMax: 1h, start: 1s }", ["timeouts.callMax", "timeouts.start"], "keep"],
    ["timeouts: { tools: { t: 1s } }", ["timeouts.tools"], "keep"],
    ["validateArguments: true", ["validateArguments"], "keep"],
    ["maxConcurrentCalls: 3", ["maxConcurrentCalls"], "keep"],
    ["maxConcurrentCalls: 3, headers: { x-a: b }", ["headers", "maxConcurrentCalls"], "reconnect"],
  ] as const)(
    "with another {%s} is changed in %j, and its connections: %s",
    ([fields, names, connections]) => {
      const base = fields.startsWith("command")
        ? "name: a, command: run, args: [x]"
        : "name: a, url: http://127.0.0.1:1/mcp";
      const given =
        fields.startsWith("command") || fields.startsWith("url")
          ? `name: a, ${fields}`
          : `${base}, ${fields}`;

      const changes = changesBetween(`backends: [{ ${base} }]`, `backends: [{ ${given} }]`);

      expect(changes).toEqual([
        { kind: "backend_changed", backend: "a", fields: names, connections },
      ]);
    },
  );

  test("whose own files have changed is connected anew, though its configuration is the same", () => {
    const config = configOf(`backends: [${HTTP}, ${STDIO}]`);

    const { changes } = planReload(config, config, { backendsWithChangedFiles: new Set(["a"]) });

    expect(changes).toEqual([
      { kind: "backend_changed", backend: "a", fields: ["caBundlePath"], connections: "reconnect" },
    ]);
  });

  test("is changed by what is said for all of them", () => {
    const changes = changesBetween(
      `backends: [${HTTP}]`,
      `backends: [${HTTP}]\noperational: { timeouts: { default: 5s } }`,
    );

    expect(changes).toEqual([
      { kind: "backend_changed", backend: "a", fields: ["timeouts.call"], connections: "keep" },
    ]);
  });
});

describe("a setting", () => {
  test.for([
    ["aggregation: { excludeAllTools: true }", "setting_changed", "aggregation"],
    ["groupRef: g", "setting_changed", "groupRef"],
    ["limits: { callsPerSession: 3 }", "setting_changed", "limits.callsPerSession"],
    ["limits: { callsPerProcess: 3 }", "setting_changed", "limits.callsPerProcess"],
    [
      "operational: { sessions: { maxSessions: 3 } }",
      "setting_changed",
      "operational.sessions.maxSessions",
    ],
    [
      "operational: { sessions: { drainDeadline: 3s } }",
      "setting_changed",
      "operational.sessions.drainDeadline",
    ],
    [
      "operational: { failureHandling: { partialFailureMode: fail } }",
      "setting_changed",
      "operational.failureHandling.partialFailureMode",
    ],
    ["server: { port: 1 }", "needs_restart", "server.port"],
    ["server: { allowedOrigins: ['http://a.example'] }", "needs_restart", "server.allowedOrigins"],
    ["limits: { requestBytes: 1MiB }", "needs_restart", "limits.requestBytes"],
    ["operational: { logLevel: debug }", "needs_restart", "operational.logLevel"],
    ["operational: { sessions: { idleTtl: 1m } }", "needs_restart", "operational.sessions.idleTtl"],
  ] as const)("%s: %s %s", ([text, kind, path]) => {
    const base = `backends: [${HTTP}]`;
    const [running, next] = [configOf(base), configOf(`${base}\n${text}`)];

    const plan = planReload(running, next);

    expect(plan.changes).toEqual([{ kind, path }]);
    const after = planReload(plan.config, next).changes;
    expect(after).toEqual(kind === "needs_restart" ? plan.changes : []);
    // A program that asks from outside is told the same.
    expect(compareConfigs(plan.config.comparable, next.comparable)).toEqual(after);
    expect(planReload(running, plan.config).changes).toEqual(
      kind === "needs_restart" ? [] : plan.changes,
    );
  });

  test("that only one of them knows is not compared", () => {
    const { comparable } = configOf(`backends: [${HTTP}]`);
    const older = {
      ...comparable,
      settings: new Map<string, unknown>([
        ["name", "other"],
        ["gone", 1],
      ]),
    };

    expect(compareConfigs(older, comparable)).toEqual([{ kind: "needs_restart", path: "name" }]);
  });
});

test("changes come in one order: backends by name, settings, then what needs a restart", () => {
  const changes = changesBetween(
    `backends: [${HTTP}, ${STDIO}]`,
    `backends: [{ name: z, command: run }, ${STDIO}, { name: b, command: run }]\nserver: { path: /x }\naggregation: { maxNameLength: 60 }\nlimits: { callsPerSession: 3 }`,
  );

  expect(changes.map((change) => ("backend" in change ? change.backend : change.path))).toEqual([
    "a",
    "b",
    "z",
    "aggregation",
    "limits.callsPerSession",
    "server.path",
  ]);
});

test("a plan never holds a value", () => {
  const changes = changesBetween(
    "backends: [{ name: a, url: 'https://one.example/mcp', headers: { x: CANARY-one } }]",
    "backends: [{ name: a, url: 'https://two.example/mcp', headers: { x: CANARY-two } }]",
  );

  expect(changes).toHaveLength(1);
  expect(JSON.stringify(changes)).not.toMatch(/CANARY|example/);
});

function configOf(text: string): VmcpConfig {
  return parse(text).config;
}

function changesBetween(running: string, next: string): readonly PlanChange[] {
  return planReload(configOf(running), configOf(next)).changes;
}
