import { resolve } from "node:path";
import { checkAggregation } from "./checks/aggregation.ts";
import { checkBackends } from "./checks/backends.ts";
import { checkCompositeTools } from "./checks/composite-tools.ts";
import { checkIncomingAuth } from "./checks/incoming-auth.ts";
import { checkOutgoingAuth } from "./checks/outgoing-auth.ts";
import { toComparable, withoutSecrets } from "./comparable.ts";
import { checkRateLimiting } from "./checks/rate-limiting.ts";
import type { Finding } from "./problems.ts";
import { pathText, problem } from "./problems.ts";
import type { RawObject } from "./raw-values.ts";
import { isRawObject, listOf, objectOf, textOf, valueAt } from "./raw-values.ts";
import type { Expanded, ReferenceSources } from "./references.ts";
import { expandReferences } from "./references.ts";
import { resolveAuthz, resolveRateLimiting } from "./resolve-access.ts";
import { resolveAudit } from "./resolve-audit.ts";
import { resolveIncomingAuth } from "./resolve-incoming-auth.ts";
import { resolveBackends } from "./resolve-backends.ts";
import {
  MAX_SESSIONS_VARIABLE,
  maxSessionsOf,
  resolveAggregation,
  resolveLimits,
  resolveOperational,
} from "./resolve-settings.ts";
import type { ConfigInput } from "./schema/config-schema.ts";
import { configSchema } from "./schema/config-schema.ts";
import { describeIssues } from "./schema/schema-problems.ts";
import { findUnsupported } from "./schema/unsupported.ts";
import type { VmcpConfig } from "./vmcp-config.ts";

/** What a command line says in place of the file. */
export interface ConfigOverrides {
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  /** Serve anonymous clients also off loopback; the same as `incomingAuth.allowInsecureAnonymous`. */
  readonly allowInsecureAnonymous?: boolean | undefined;
}

export interface CompileOptions {
  readonly references: ReferenceSources;
  readonly baseDir: string;
  readonly overrides: ConfigOverrides;
  /** What `operational.sessionManagementV2` is where nobody names it. */
  readonly isSessionScopedByDefault: boolean;
  /** Servers that are configured but left out; settings may name them. */
  readonly leftOut: readonly string[];
}

export interface Compiled {
  /** Undefined where there is a problem among the findings. */
  readonly config: VmcpConfig | undefined;
  readonly findings: readonly Finding[];
}

/** Takes a configuration in our own shape through references, schema, checks and defaults; reports everything at once. */
export function compileConfig(input: RawObject, options: CompileOptions): Compiled {
  const overridden = withOverrides(input, options.overrides);
  const expanded = expandReferences(overridden, options.references);
  const raw = objectOf(expanded.value);
  // Compiling a parser for each object takes longer than reading one configuration without.
  const parsed = configSchema.safeParse(raw, { jitless: true });
  const findings = withoutEchoes(expanded, [
    ...describeIssues(parsed.error?.issues ?? [], raw, expanded.secretPaths),
    ...findUnsupported(raw),
    ...checkTogether(raw, options),
  ]);
  const isUsable = parsed.success && !findings.some(({ severity }) => severity === "problem");
  return {
    config: isUsable ? withComparable(parsed.data, overridden, options) : undefined,
    findings,
  };
}

function withOverrides(input: RawObject, overrides: ConfigOverrides): RawObject {
  const { host, port, allowInsecureAnonymous } = overrides;
  const server = {
    ...objectOf(input["server"]),
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port }),
  };
  const auth = input["incomingAuth"] ?? { type: "anonymous" };
  return {
    ...input,
    ...(host === undefined && port === undefined ? {} : { server }),
    ...(allowInsecureAnonymous === true
      ? { incomingAuth: { ...objectOf(auth), allowInsecureAnonymous } }
      : {}),
  };
}

function checkTogether(raw: RawObject, options: CompileOptions): readonly Finding[] {
  const { env } = options.references;
  const names = new Set(options.leftOut);
  for (const backend of listOf(raw["backends"])) {
    const name = textOf(objectOf(backend)["name"]);
    if (name !== undefined) names.add(name);
  }
  return [
    ...checkThereAreBackends(raw),
    ...checkBackends(raw),
    ...checkIncomingAuth(raw, hostOf(raw), env),
    ...checkOutgoingAuth(raw, names, env),
    ...checkAggregation(raw, names),
    ...checkCompositeTools(raw),
    ...checkRateLimiting(raw),
    ...checkMaxSessions(raw, options),
    ...checkGroup(raw),
    ...checkAdmin(raw),
  ];
}

function checkThereAreBackends(raw: RawObject): readonly Finding[] {
  if (raw["backends"] !== undefined && listOf(raw["backends"]).length > 0) return [];
  if (raw["backends"] !== undefined && !Array.isArray(raw["backends"])) return [];
  return [problem(["backends"], "is missing or empty; list at least one backend, or mcpServers")];
}

function checkMaxSessions(raw: RawObject, { references }: CompileOptions): readonly Finding[] {
  const path = ["operational", "sessions", "maxSessions"];
  if (valueAt(raw, path) !== undefined || !Number.isNaN(maxSessionsOf(references.env))) return [];
  return [problem(path, `comes from ${MAX_SESSIONS_VARIABLE}, which is no whole number above 0`)];
}

function checkGroup(raw: RawObject): readonly Finding[] {
  if (raw["group"] === undefined || raw["groupRef"] === undefined) return [];
  return [problem(["group"], "means the same as groupRef; keep one of the two")];
}

function checkAdmin(raw: RawObject): readonly Finding[] {
  if (!isRawObject(raw["admin"]) || raw["admin"]["enabled"] === false) return [];
  return [problem(["admin"], "is not available in this version; remove it or set enabled: false")];
}

function hostOf(raw: RawObject): string {
  return textOf(valueAt(raw, ["server", "host"])) ?? "127.0.0.1";
}

/** A reference that was not resolved fails other checks too, which would only repeat it. */
function withoutEchoes(expanded: Expanded, findings: readonly Finding[]): readonly Finding[] {
  const unresolved = new Set(expanded.findings.map(({ path }) => pathText(path)));
  return [...expanded.findings, ...findings.filter(({ path }) => !unresolved.has(pathText(path)))];
}

function withComparable(input: ConfigInput, raw: RawObject, options: CompileOptions): VmcpConfig {
  const config = resolveConfig(input, options);
  const { env } = options.references;
  const references = Object.fromEntries(Object.keys(env).map((name) => [name, `\${env:${name}}`]));
  const hidden = withoutSecrets(input, raw);
  const { baseDir } = options;
  const backends = resolveBackends(hidden, {
    env: references,
    baseDir,
    isSessionScoped: config.operational.sessionManagementV2,
  });
  const incomingAuth = resolveIncomingAuth(hidden.incomingAuth, { env: references, baseDir });
  const server = { ...config.server, stateKeys: hidden.server.stateKeys };
  const { backends: fields, settings } = toComparable({
    ...config,
    backends,
    incomingAuth,
    server,
  });
  const { host, port } = options.overrides;
  const isOverridden = (path: string): boolean =>
    (path === "server.host" && host !== undefined) ||
    (path === "server.port" && port !== undefined);
  const own = new Map([...settings].filter(([path]) => !isOverridden(path)));
  return { ...config, comparable: { backends: fields, settings: own } };
}

function resolveConfig(
  input: ConfigInput,
  options: CompileOptions,
): Omit<VmcpConfig, "comparable"> {
  const { env } = options.references;
  const operational = resolveOperational(input.operational, env, options.isSessionScopedByDefault);
  const { tls: _tls, trustProxy: _trustProxy, ...server } = input.server;
  return {
    name: input.name,
    groupRef: input.groupRef ?? input.group,
    backends: resolveBackends(input, {
      env,
      baseDir: options.baseDir,
      isSessionScoped: operational.sessionManagementV2,
    }),
    aggregation: resolveAggregation(
      input.aggregation,
      new Set(input.backends.map(({ name }) => name)),
    ),
    operational,
    server,
    limits: resolveLimits(input.limits),
    audit: resolveAudit(input.audit, input.name, options.baseDir),
    incomingAuth: resolveIncomingAuth(input.incomingAuth, { env, baseDir: options.baseDir }),
    authz: resolveAuthz(input.incomingAuth?.authz),
    rateLimiting: resolveRateLimiting(input.rateLimiting),
    pinning: input.pinning,
    lockFile: resolve(options.baseDir, input.lockFile),
  };
}
