import { resolve } from "node:path";
import { parseBackendName } from "../domain/ids.ts";
import { transportOf } from "./checks/backends.ts";
import type { Environment } from "./references.ts";
import { lookUp } from "./references.ts";
import { resolveStrategy, strategyOf } from "./resolve-outgoing-auth.ts";
import type { BackendInput } from "./schema/backends.ts";
import type { ConfigInput } from "./schema/config-schema.ts";
import type { StrategyInput } from "./schema/outgoing-auth.ts";
import type { BackendConfig, BackendTimeouts, RestartConfig } from "./vmcp-config.ts";

export interface BackendContext {
  readonly env: Environment;
  /** What relative paths in the configuration are relative to. */
  readonly baseDir: string;
  readonly isSessionScoped: boolean;
}

/** Gives each backend its final form. Expects input in which no check found a problem. */
export function resolveBackends(
  config: ConfigInput,
  context: BackendContext,
): readonly BackendConfig[] {
  return config.backends.map((backend) => resolveBackend(backend, config, context));
}

function resolveBackend(
  backend: BackendInput,
  config: ConfigInput,
  context: BackendContext,
): BackendConfig {
  // Checked to be one of the two before this version's refusals let it through.
  const isolation =
    backend.isolation === "session" || backend.isolation === "request"
      ? backend.isolation
      : undefined;
  const base = {
    name: parseBackendName(backend.name),
    isolation: isolation ?? (context.isSessionScoped ? "session" : "request"),
    revision: backend.revision,
    timeouts: resolveTimeouts(backend, config),
    validateArguments: backend.validateArguments,
    maxConcurrentCalls: backend.maxConcurrentCalls ?? config.limits.callsPerBackend,
    trustAnnotations: backend.trustAnnotations,
    pinning: backend.pinning,
  } as const;
  const transport = transportOf({ ...backend });
  if (transport !== "stdio") {
    return {
      ...base,
      transport,
      url: normalUrl(backend.url ?? ""),
      headers: { ...strategyHeaders(backend, config, context.env) },
      outgoingAuth: resolveStrategy(
        strategyOf(backend.name, config),
        context.env,
        backend.url ?? "",
      ),
      caBundlePath: absolute(backend.caBundlePath, context),
    };
  }
  const { command, args, env, cwd } = backend.stdio ?? backend;
  return {
    ...base,
    transport: "stdio",
    command: command ?? "",
    args,
    env,
    cwd: absolute(cwd, context),
    restart: resolveRestart(backend),
  };
}

function resolveRestart({ restart }: BackendInput): RestartConfig {
  return {
    backoffMinMs: restart.backoffMin,
    backoffMaxMs: restart.backoffMax,
    budget: restart.budget,
    windowMs: restart.window,
  };
}

function resolveTimeouts({ name, timeouts }: BackendInput, config: ConfigInput): BackendTimeouts {
  const shared = config.operational.timeouts;
  const perWorkload = Object.hasOwn(shared.perWorkload, name)
    ? shared.perWorkload[name]
    : undefined;
  const callMs = timeouts.call ?? perWorkload ?? shared.default;
  return {
    connectMs: timeouts.connect,
    startMs: timeouts.start,
    callMs,
    toolsMs: timeouts.tools,
    callMaxMs: Math.max(timeouts.callMax, callMs),
    clientAnswerMs: timeouts.clientAnswer,
    keepaliveMs: timeouts.keepalive === "off" ? undefined : timeouts.keepalive,
    idleMs: timeouts.idle,
  };
}

/** The backend's own headers win over those of the default strategy; clashes with its own strategy were refused. */
function strategyHeaders(
  backend: BackendInput,
  config: ConfigInput,
  env: Environment,
): Readonly<Record<string, string>> {
  const header = injectedHeader(strategyOf(backend.name, config), env);
  if (header === undefined) return backend.headers;
  const isOverridden = Object.keys(backend.headers).some(
    (name) => name.toLowerCase() === header.name.toLowerCase(),
  );
  return isOverridden ? backend.headers : { ...backend.headers, [header.name]: header.value };
}

function injectedHeader(
  strategy: StrategyInput,
  env: Environment,
): { readonly name: string; readonly value: string } | undefined {
  if (strategy.type !== "header_injection") return undefined;
  const { headerName, headerValue, headerValueEnv } = strategy.headerInjection ?? strategy;
  const value = headerValue ?? lookUp(env, headerValueEnv ?? "");
  return headerName === undefined || value === undefined ? undefined : { name: headerName, value };
}

/** A URL that stands for its reference has no other form. */
function normalUrl(text: string): string {
  return URL.canParse(text) ? new URL(text).href : text;
}

function absolute(path: string | undefined, { baseDir }: BackendContext): string | undefined {
  return path === undefined ? undefined : resolve(baseDir, path);
}
