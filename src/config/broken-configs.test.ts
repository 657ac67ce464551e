import * as fc from "fast-check";
import { expect, test } from "vitest";
import { problemPathsOf, problemsOf } from "./testing/parse.ts";

const ONE_BACKEND = "backends: [{name: b1, url: 'http://127.0.0.1:1/mcp'}]\n";

test.for([
  ["", "must be a mapping"],
  ["- a\n", "a list stands here"],
  ["just text\n", "a string stands here"],
  ["name:\n", "name: must be a text, but nothing stands here"],
  [
    `${ONE_BACKEND}operational: {sessions: {idleTtl: 5}}\n`,
    "operational.sessions.idleTtl: is not a duration; write for example 500ms, 30s, 1m30s or 2h",
  ],
  [
    "backends: [{name: b1, url: 'http://127.0.0.1:1/mcp', timeouts: {keepalive: 1 minute}}]\n",
    "backends[0].timeouts.keepalive: must be off, or a duration such as 30s",
  ],
  ["operational:\n", "operational: must be a mapping, but nothing stands here"],
  ["backends: {}\n", "backends: must be a list, but a mapping stands here"],
  ["backends: [x]\n", "backends[0]: must be a mapping, but a string stands here"],
  ["backends: []\n", "backends: is missing or empty"],
] as const)("%j is refused in words", ([text, message]) => {
  expect(problemsOf(text).join("\n")).toContain(message);
});

test("a duration that is too short is not told to be one that is too short as well", () => {
  const text = `${ONE_BACKEND}operational: {failureHandling: {circuitBreaker: {timeout: 500ms}}}\n`;

  expect(problemsOf(text)).toEqual([
    "operational.failureHandling.circuitBreaker.timeout: is shorter than 1000 ms",
  ]);
});

/** Broken files and the place at which each must be refused. */
const IDP = "issuer: 'https://idp.example', audience: a";
const KEYS = "incomingAuth.apiKey.keys";

function oidcText(fields: string): string {
  return `incomingAuth: {type: oidc, oidc: {${fields}}}\n`;
}

function keysText(keys: string): string {
  return `incomingAuth: {type: apiKey, apiKey: {keys: [${keys}]}}\n`;
}

const PERMIT_ALL = "permit(principal, action, resource);";

/** Two policies, of which the first is right. */
function withPolicies(policy: string, more = "groupClaimName: g"): string {
  const policies = [PERMIT_ALL, policy].map((text) => JSON.stringify(text)).join(", ");
  return `incomingAuth: {type: anonymous, authz: {type: cedar, policies: [${policies}], ${more}}}\n`;
}

const BROKEN: readonly (readonly [text: string, path: string])[] = [
  [oidcText("issuer: 'https://10.0.0.1', audience: a"), "incomingAuth.oidc.issuer"],
  [oidcText("issuer: 'https://localhost:1', audience: a"), "incomingAuth.oidc.issuer"],
  [
    oidcText("issuer: 'https://169.254.169.254', audience: a, jwksAllowPrivateIp: true"),
    "incomingAuth.oidc.issuer",
  ],
  [oidcText("issuer: 'https://idp.example?a', audience: a"), "incomingAuth.oidc.issuer"],
  [oidcText(`${IDP}, jwksUrl: 'http://idp.example/k'`), "incomingAuth.oidc.jwksUrl"],
  [oidcText(`${IDP}, introspectionUrl: 'https://[::1]/i'`), "incomingAuth.oidc.introspectionUrl"],
  [oidcText(`${IDP}, introspectionUrl: 'https://idp.example/i'`), "incomingAuth.oidc.clientId"],
  [oidcText(`${IDP}, clientSecretEnv: NOT_SET`), "incomingAuth.oidc.clientId"],
  [oidcText(`${IDP}, clientId: c, clientSecretEnv: NOT_SET`), "incomingAuth.oidc.clientSecretEnv"],
  [oidcText(`${IDP}, resource: gateway`), "incomingAuth.oidc.resource"],
  [oidcText(`${IDP}, resource: 'https://mcp.example/#a'`), "incomingAuth.oidc.resource"],
  [oidcText(`${IDP}, resource: 'http://127.0.0.1/mcp'`), "incomingAuth.oidc.resource"],
  [oidcText(`${IDP}, scopes: ['a b']`), "incomingAuth.oidc.scopes[0]"],
  [keysText("{id: a, subject: s, secret: x}, {id: a, subject: t, secret: y}"), `${KEYS}[1].id`],
  [keysText("{id: a, subject: s, secret: x}, {id: b, subject: t, secret: x}"), `${KEYS}[1]`],
  [keysText('{id: a, subject: "a\\0b", secret: x}'), `${KEYS}[0].subject`],
  [keysText("{id: a, subject: s, sha256: abc}"), `${KEYS}[0].sha256`],
  [keysText("{id: a, subject: s, secret: ''}"), `${KEYS}[0].secret`],
  ["incomingAuth: {type: local}\nserver: {host: 0.0.0.0}\n", "incomingAuth.type"],
  ["incomingAuth: {type: local}\nserver: {workers: 2}\n", "server.workers"],
  ["incomingAuth: {type: local, bindClient: true}\n", "incomingAuth.bindClient"],
  ["incomingAuth: {type: anonymous, toolScopes: {t: []}}\n", "incomingAuth.toolScopes.t"],
  ["incomingAuth: {type: oidc}\nincomingAuth: {type: anonymous}\n", "incomingAuth"],
  ['name: !!js/function "function(){process.exit()}"\n', "name"],
  ["name: !!binary aGk=\n", "name"],
  ["incommingAuth: {type: oidc}\n", "incommingAuth"],
  ["name: x\ngroup: g\n", "incomingAuth"],
  ["name: x\ngroup: g\n", "backends"],
  [
    'outgoingAuth: {backends: {b1: {type: header_injection, headerInjection: {headerName: X, headerValue: "${MISSING}"}}}}\n',
    "outgoingAuth.backends.b1.headerInjection.headerValue",
  ],
  [
    'outgoingAuth: {backends: {b1: {type: header_injection, headerInjection: {headerName: "A\\r\\nX", headerValue: "v"}}}}\n',
    "outgoingAuth.backends.b1.headerInjection.headerName",
  ],
  [
    'outgoingAuth: {backends: {b1: {type: header_injection, headerName: X, headerValue: "a\\nb"}}}\n',
    "outgoingAuth.backends.b1.headerValue",
  ],
  [
    "outgoingAuth: {default: {type: header_injection, headerName: Host, headerValue: v}}\n",
    "outgoingAuth.default.headerName",
  ],
  [
    "outgoingAuth: {default: {type: header_injection, headerName: X}}\n",
    "outgoingAuth.default.headerValue",
  ],
  [
    "outgoingAuth: {default: {type: header_injection, headerName: X, headerValueEnv: NO}}\n",
    "outgoingAuth.default.headerValueEnv",
  ],
  ["outgoingAuth: {default: {type: token_exchange}}\n", "outgoingAuth.default.tokenUrl"],
  [
    "outgoingAuth: {backends: {b1: {type: xaa, xaa: {}}}}\n",
    "outgoingAuth.backends.b1.xaa.idpTokenUrl",
  ],
  [
    "outgoingAuth: {default: {type: upstream_inject, upstreamInject: {providerName: x}}}\n",
    "outgoingAuth.default.upstreamInject.providerName",
  ],
  [
    "passthroughHeaders: [Authorization, Cookie, Host, Mcp-Session-Id, Connection]\n",
    "passthroughHeaders[0]",
  ],
  ["passthroughHeaders: [X-Forwarded-For]\n", "passthroughHeaders[0]"],
  ['backends: [{name: b1, url: "file:///etc/passwd"}]\n', "backends[0].url"],
  ['backends: [{name: b1, url: "https://user:pw@host/mcp"}]\n', "backends[0].url"],
  ['backends: [{name: b1, url: "http://example.com/mcp"}]\n', "backends[0].url"],
  ['backends: [{name: b1, url: "http://2852039166/mcp"}]\n', "backends[0].url"],
  ["backends: [{name: b1}]\n", "backends[0].url"],
  ["backends: [{name: b1, transport: stdio}]\n", "backends[0].command"],
  ["backends: [{name: b1, command: x, stdio: {command: y}}]\n", "backends[0].command"],
  ["backends: [{name: b1, command: x, headers: {A: b}}]\n", "backends[0].headers"],
  ["backends: [{name: b1, url: 'http://a.test', restart: {budget: 1}}]\n", "backends[0].restart"],
  [
    "backends: [{name: b1, command: x, restart: {backoffMin: 2m, backoffMax: 1m}}]\n",
    "backends[0].restart.backoffMax",
  ],
  [
    "backends: [{name: b1, command: x, restart: {backoffMin: 61s}}]\n",
    "backends[0].restart.backoffMin",
  ],
  ["backends: [{name: b1, command: x, restart: {budget: -1}}]\n", "backends[0].restart.budget"],
  [
    "backends: [{name: b1, command: x, timeouts: {keepalive: on}}]\n",
    "backends[0].timeouts.keepalive",
  ],
  ["backends: [{name: b1, url: 'https://x.y', headers: {A: b, a: c}}]\n", "backends[0].headers.a"],
  [
    "backends: [{name: b1, url: 'https://x.y', headers: {Mcp-Session-Id: b}}]\n",
    "backends[0].headers.Mcp-Session-Id",
  ],
  ["backends: [{name: b1, command: x, env: {A: 1}}]\n", "backends[0].env.A"],
  [
    "backends: [{name: b1, url: 'http://127.0.0.1:1/mcp'}, {name: b1, url: 'http://127.0.0.1:2/mcp'}]\n",
    "backends[1].name",
  ],
  [`backends: [{name: ${"x".repeat(49)}, url: 'https://x.y'}]\n`, "backends[0].name"],
  [
    'incomingAuth: {type: oidc, oidc: {issuer: "http://idp.example", audience: a}}\n',
    "incomingAuth.oidc.issuer",
  ],
  [
    'incomingAuth: {type: oidc, oidc: {issuer: "https://idp.example"}}\n',
    "incomingAuth.oidc.audience",
  ],
  ["incomingAuth: {type: oidc}\n", "incomingAuth.oidc"],
  [
    "incomingAuth: {type: apiKey, apiKey: {keys: [{id: a, subject: s}]}}\n",
    "incomingAuth.apiKey.keys[0]",
  ],
  [
    "incomingAuth: {type: anonymous, apiKey: {keys: [{id: a, subject: s, secret: x}]}}\n",
    "incomingAuth.apiKey",
  ],
  [
    'incomingAuth: {type: oidc, oidc: {issuer: "https://i", audience: a}, authz: {type: cedar, policies: ["permit(principal"]}}\n',
    "incomingAuth.authz.policies[0]",
  ],
  [
    'incomingAuth: {type: oidc, oidc: {issuer: "https://i", audience: a}, authz: {type: cedar, policies: []}}\n',
    "incomingAuth.authz.policies",
  ],
  ["operational: {timeouts: {default: 600h}}\n", "operational.timeouts.default"],
  ["operational: {timeouts: {default: 30}}\n", "operational.timeouts.default"],
  ["operational: {timeouts: {default: 0s}}\n", "operational.timeouts.default"],
  [
    "compositeTools: [{name: w, description: d, steps: [{id: a, tool: b1_x, dependsOn: [b]}, {id: b, tool: b1_y, dependsOn: [a]}]}]\n",
    "compositeTools[0].steps",
  ],
  [
    `compositeTools: [{name: w, steps: [${Array.from({ length: 101 }, (_unused, index) => `{id: s${String(index)}, tool: t}`).join(", ")}]}]\n`,
    "compositeTools[0].steps",
  ],
  [
    "compositeTools: [{name: w, steps: [{id: a, tool: b, dependsOn: [c]}]}]\n",
    "compositeTools[0].steps",
  ],
  [
    "compositeTools: [{name: w, steps: [{id: a, tool: b}, {id: a, tool: b}]}]\n",
    "compositeTools[0].steps",
  ],
  [
    "compositeTools: [{name: wf, steps: [{id: a, type: forEach, maxParallel: 10000, collection: x, step: {tool: b1_echo}}]}]\n",
    "compositeTools[0].steps[0].maxParallel",
  ],
  ["compositeTools: [{name: wf, steps: [{id: a, tool: wf}]}]\n", "compositeTools[0].steps[0].tool"],
  ["telemetry: {enabled: no}\n", "telemetry.enabled"],
  ["audit: {enabled: no}\n", "audit.enabled"],
  ["audit: {eventTypes: [mcp_tool_calls]}\n", "audit.eventTypes[0]"],
  ["audit: {excludeEventTypes: [all]}\n", "audit.excludeEventTypes[0]"],
  ["audit: {onFailure: ignore}\n", "audit.onFailure"],
  ["audit: {maxDataSize: 0}\n", "audit.maxDataSize"],
  ["audit: {logFile: ''}\n", "audit.logFile"],
  ["server: {port: 22:22}\n", "server.port"],
  ["server: {port: 0o177777777}\n", "server.port"],
  ["server: {allowedOrigins: ['*']}\n", "server.allowedOrigins[0]"],
  ["server: {allowedHosts: ['http://x']}\n", "server.allowedHosts[0]"],
  ["server: {path: mcp}\n", "server.path"],
  ["server: {path: /health}\n", "server.path"],
  ["server: {path: /oauth/callback}\n", "server.path"],
  [
    "aggregation: {conflictResolution: priority}\n",
    "aggregation.conflictResolutionConfig.priorityOrder",
  ],
  ["aggregation: {tools: [{workload: nobody, filter: [a]}]}\n", "aggregation.tools[0].workload"],
  ["group: a\ngroupRef: b\n", "group"],
  [withPolicies("permit(principal, action, resource)"), "incomingAuth.authz.policies[1]"],
  [
    withPolicies("permit(principal, action, resource) when { x };"),
    "incomingAuth.authz.policies[1]",
  ],
  [
    withPolicies("permit(principal == ?principal, action, resource);"),
    "incomingAuth.authz.policies[1]",
  ],
  [withPolicies(`${PERMIT_ALL} ${PERMIT_ALL}`), "incomingAuth.authz.policies[1]"],
  [withPolicies(PERMIT_ALL, "entitiesJson: '[{]'"), "incomingAuth.authz.entitiesJson"],
  [withPolicies(PERMIT_ALL, "entitiesJson: '{}'"), "incomingAuth.authz.entitiesJson"],
  [
    withPolicies(PERMIT_ALL, `entitiesJson: '[{"uid": "Tool::a"}]'`),
    "incomingAuth.authz.entitiesJson",
  ],
  [withPolicies(PERMIT_ALL, "groupEntityType: 'A::B'"), "incomingAuth.authz.groupEntityType"],
  [withPolicies(PERMIT_ALL, "groupEntityType: if"), "incomingAuth.authz.groupEntityType"],
  [
    withPolicies(PERMIT_ALL, "groupEntityType: 'T, action, resource); permit(principal is T'"),
    "incomingAuth.authz.groupEntityType",
  ],
  ["rateLimiting: {shared: {maxTokens: 0, refillPeriod: 1s}}\n", "rateLimiting.shared.maxTokens"],
  ["rateLimiting: {shared: {maxTokens: 1}}\n", "rateLimiting.shared.refillPeriod"],
  ["rateLimiting: {perUser: {maxTokens: 1, refillPeriod: 1s}}\n", "rateLimiting.perUser"],
  [
    "incomingAuth: {type: anonymous}\nrateLimiting: {tools: [{name: a, perUser: {maxTokens: 1, refillPeriod: 1s}}]}\n",
    "rateLimiting.tools[0].perUser",
  ],
  ["rateLimiting: {tools: [{name: a}]}\n", "rateLimiting.tools[0]"],
  [
    "rateLimiting: {tools: [{name: a, shared: {maxTokens: 1, refillPeriod: 1s}}, {name: a, shared: {maxTokens: 1, refillPeriod: 1s}}]}\n",
    "rateLimiting.tools[1].name",
  ],
];

test.for(BROKEN)("%j is refused at %s", ([text, path]) => {
  expect(problemPathsOf(text)).toContain(path);
});

test.for([
  [
    "outgoingAuth: {default: {type: unauthenticated, headerInjection: {headerName: A}}}",
    "outgoingAuth.default.headerInjection",
  ],
  [
    "outgoingAuth: {backends: {b1: {type: unauthenticated, xaa: {}}}}",
    "outgoingAuth.backends.b1.xaa",
  ],
  ["incomingAuth: {type: local, oidc: {issuer: 'https://i', audience: a}}", "incomingAuth.oidc"],
] as const)("%j holds a block of another type, which is refused at %s", ([text, path]) => {
  expect(problemPathsOf(`${ONE_BACKEND}${text}\n`)).toContain(path);
});

/** What this version does not do and must not pretend to do. */
const NOT_YET: readonly (readonly [text: string, path: string])[] = [
  [
    "incomingAuth: {type: anonymous, authz: {type: none, primaryUpstreamProvider: x}}",
    "incomingAuth.authz.primaryUpstreamProvider",
  ],
  ["outgoingAuth: {source: discovered}", "outgoingAuth.source"],
  ["outgoingAuth: {default: {type: obo, obo: {}}}", "outgoingAuth.default.type"],
  ["compositeTools: [{name: w, steps: [{id: a, tool: t}]}]", "compositeTools"],
  ["compositeToolRefs: [{name: w}]", "compositeToolRefs"],
  ["sessionStorage: {provider: redis}", "sessionStorage.provider"],
  ["server: {tls: {certPath: a, keyPath: b}}", "server.tls"],
  ["server: {trustProxy: true}", "server.trustProxy"],
  ["admin: {port: 1}", "admin"],
  ["telemetry: {endpoint: 'collector:4317'}", "telemetry.endpoint"],
  ["optimizer: {}", "optimizer"],
  ["codeMode: {enabled: true}", "codeMode.enabled"],
  ["passthroughHeaders: [X-Tenant]", "passthroughHeaders"],
  [
    "aggregation: {tools: [{workload: b1, toolConfigRef: {name: x}}]}",
    "aggregation.tools[0].toolConfigRef",
  ],
];

test.for(NOT_YET)("%j is refused, because it is not there yet", ([text, path]) => {
  const problems = problemsOf(`${ONE_BACKEND}${text}\n`);

  expect(problems).toEqual([expect.stringMatching(/not available in this version/)]);
  expect(problems[0]).toContain(`${path}: `);
});

test.for([
  ["isolation: user", "backends[0].isolation"],
  ["isolation: shared", "backends[0].isolation"],
  ["validateArguments: sometimes", "backends[0].validateArguments"],
  ["transport: sse, revision: '2026-07-28'", "backends[0].revision"],
  ["revision: '1999-01-01'", "backends[0].revision"],
  ["transport: websocket", "backends[0].transport"],
] as const)("a backend with %s is refused", ([field, path]) => {
  expect(problemPathsOf(`backends: [{name: b, url: 'https://x.y', ${field}}]\n`)).toEqual([path]);
});

test.for([
  ["backends: [{name: b1, url: 'https://user:CANARY@host/mcp'}]", {}],
  ["backends: [{name: b1, url: '${SECRET}'}]", { SECRET: "CANARY" }],
  ["backends: [{name: b1, url: 'https://x.y', transport: '${SECRET}'}]", { SECRET: "CANARY" }],
  ["backends: [{name: b1, url: 'https://x.y', headers: {A: 'CANARY\r\nB: c'}}]", {}],
  ["backends: [{name: b1, url: 'https://x.y', headers: {A: \"CANARY\\r\\nB: c\"}}]", {}],
  ["backends: [{name: b1, command: x, env: {A: [CANARY]}}]", {}],
  ["incomingAuth: {type: CANARYCANARYCANARYCANARYCANARYCANARYCANARY}", {}],
  ["operational: {logLevel: '${SECRET}', timeouts: {default: '${SECRET}'}}", { SECRET: "CANARY" }],
  ["limits: {requestBytes: '${SECRET}'}", { SECRET: "CANARY" }],
] as const)("%j is refused without showing the secret", ([text, env]) => {
  const problems = problemsOf(text, { env });

  expect(problems.length).toBeGreaterThan(0);
  expect(problems.join("\n")).not.toContain("CANARY");
});

test.for([
  ["{name: b, command: x}", "is for a stdio backend"],
  ["{name: b, url: 'https://x.y', headers: {x-key: own}}", "set too"],
] as const)("a strategy for %s is refused", ([backend, message]) => {
  const text = `backends: [${backend}]\noutgoingAuth: {backends: {b: {type: header_injection, headerName: X-Key, headerValue: v}}}\n`;

  expect(problemsOf(text)).toEqual([expect.stringContaining(message)]);
});

test("whatever a file holds, it is either a configuration or refused in words", () => {
  const words =
    "name backends url command transport headers env args stdio incomingAuth outgoingAuth type authz " +
    "policies default mcpServers aggregation tools workload overrides operational timeouts steps " +
    "compositeTools dependsOn id server host limits admin";
  const key = fc.constantFrom("x y", ...words.split(" "));
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { depthSize: "small" },
      fc.constantFrom(null, true, 7, "text", "https://x.y", "${A}", "30s", "anonymous", "b1"),
      fc.dictionary(key, tie("tree"), { maxKeys: 5 }),
      fc.array(tie("tree"), { maxLength: 3 }),
    ),
  }));
  const fileNames = fc.constantFrom("vmcp.yaml", "vmcp.json", "mcp.json");

  fc.assert(
    fc.property(fc.dictionary(key, tree), fileNames, (value, fileName) => {
      const problems = problemsOf(JSON.stringify(value), { fileName });
      expect(problems.every((line) => line.length > 2)).toBe(true);
    }),
    { numRuns: 500 },
  );
});

test("a text of any kind never ends in anything but words", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "binary" }),
      fc.constantFrom("a.yaml", "a.json", "a.toml"),
      (text, fileName) => {
        expect(problemsOf(text, { fileName }).length).toBeGreaterThan(0);
      },
    ),
  );
});
