import { isDeepStrictEqual } from "node:util";
import { toComparable, toFileName } from "./comparable.ts";
import { isRawObject } from "./raw-values.ts";
import type { ComparableConfig, VmcpConfig } from "./vmcp-config.ts";

/** One difference between the configuration that runs and another one, and what becomes of it. */
export type PlanChange =
  | { readonly kind: "backend_added"; readonly backend: string }
  | { readonly kind: "backend_removed"; readonly backend: string }
  | {
      readonly kind: "backend_changed";
      readonly backend: string;
      /** The fields that differ, sorted. Never their values: they may be secrets. */
      readonly fields: readonly string[];
      /** `keep`: connections stay as they are. `reconnect`: each session gets a new one. `replace`: to another server. */
      readonly connections: "keep" | "reconnect" | "replace";
    }
  /** For example `aggregation` or `limits.callsPerSession`. */
  | { readonly kind: "setting_changed"; readonly path: string }
  /** Cannot change while the gateway runs, and stays as it was. */
  | { readonly kind: "needs_restart"; readonly path: string };

export interface ReloadPlan {
  /** As `compareConfigs` orders them. */
  readonly changes: readonly PlanChange[];
  /** What runs after the reload: the other configuration, except for what needs a restart. */
  readonly config: VmcpConfig;
}

export interface CompareOptions {
  /** Backends whose own files, such as a CA bundle, have another content than when they were read. */
  readonly backendsWithChangedFiles?: ReadonlySet<string>;
  /** Settings that name a file whose content is another one than when it was read. */
  readonly settingsWithChangedFiles?: ReadonlySet<string>;
}

/**
 * What is read anew for each session, call or generation, by its path in `VmcpConfig`. Everything else was built in
 * at the start.
 */
const RELOADABLE: ReadonlySet<string> = new Set([
  "groupRef",
  "backends",
  "aggregation",
  "incomingAuth",
  "authz",
  "rateLimiting",
  "operational.sessionManagementV2",
  "operational.sessionManagementV2Named",
  "operational.failureHandling.partialFailureMode",
  "operational.sessions.maxSessions",
  "operational.sessions.startDeadlineMs",
  "operational.sessions.drainDeadlineMs",
  "operational.sessions.maxBackendStartConcurrency",
  "limits.callsPerProcess",
  "limits.callsPerSession",
  "pinning",
  "lockFile",
]);

/** The same as the file names them. */
const RELOADABLE_SETTINGS: ReadonlySet<string> = new Set([...RELOADABLE].map(toFileName));

/** Fields that take effect without touching a connection. */
const ADJUSTABLE: ReadonlySet<string> = new Set([
  "timeouts.start",
  "timeouts.call",
  "timeouts.tools",
  "timeouts.callMax",
  "timeouts.clientAnswer",
  "maxConcurrentCalls",
  "validateArguments",
  "pinning",
]);

/** Fields that say which server it is, and to whom it speaks: with others, what is known of it means nothing. */
const IDENTIFYING: ReadonlySet<string> = new Set([
  "transport",
  "url",
  "outgoingAuth",
  "command",
  "args",
]);

/** Says what a reload from one configuration to another changes, and to what. Pure. */
export function planReload(
  running: VmcpConfig,
  next: VmcpConfig,
  options: CompareOptions = {},
): ReloadPlan {
  const { comparable, ...parts } = running;
  return {
    changes: compareConfigs(toComparable(running), toComparable(next), options),
    config: {
      // Both are configurations, and each part of the result is that part of one of them.
      ...(reloadablePartsOf(next, parts, "") as typeof parts),
      comparable: comparableAfter(comparable, next.comparable),
    },
  };
}

/** What waits for a restart is still different from the file, and is found again by whoever compares. */
function comparableAfter(running: ComparableConfig, next: ComparableConfig): ComparableConfig {
  const settings = [...running.settings].map(
    ([path, value]) =>
      [path, RELOADABLE_SETTINGS.has(path) ? next.settings.get(path) : value] as const,
  );
  return { backends: next.backends, settings: new Map(settings) };
}

/**
 * Lists what differs: backends by name, then settings by path, then what needs a restart. A setting that only one
 * of them knows is not compared.
 */
export function compareConfigs(
  running: ComparableConfig,
  next: ComparableConfig,
  {
    backendsWithChangedFiles = new Set(),
    settingsWithChangedFiles = new Set(),
  }: CompareOptions = {},
): readonly PlanChange[] {
  const differing = keysThatDiffer(running.settings, next.settings).filter(
    (path) => running.settings.has(path) && next.settings.has(path),
  );
  const settings = [...new Set([...differing, ...settingsWithChangedFiles])].toSorted();
  const changed = settings.map(settingChange);
  return [
    ...compareBackends(running.backends, next.backends, backendsWithChangedFiles),
    ...changed.filter(({ kind }) => kind === "setting_changed"),
    ...changed.filter(({ kind }) => kind === "needs_restart"),
  ];
}

function settingChange(path: string): PlanChange {
  const kind = RELOADABLE_SETTINGS.has(path) ? "setting_changed" : "needs_restart";
  return { kind, path };
}

function reloadablePartsOf(next: unknown, running: unknown, path: string): unknown {
  if (RELOADABLE.has(path)) return next;
  if (!isRawObject(running) || !isRawObject(next)) return running;
  const lead = path === "" ? "" : `${path}.`;
  return Object.fromEntries(
    Object.entries(running).map(([key, value]) => [
      key,
      reloadablePartsOf(next[key], value, `${lead}${key}`),
    ]),
  );
}

function compareBackends(
  running: ComparableConfig["backends"],
  next: ComparableConfig["backends"],
  withChangedFiles: ReadonlySet<string>,
): readonly PlanChange[] {
  const names = [...new Set([...running.keys(), ...next.keys()])].toSorted();
  return names.flatMap((backend): readonly PlanChange[] => {
    const [was, is] = [running.get(backend), next.get(backend)];
    if (was === undefined) return [{ kind: "backend_added", backend }];
    if (is === undefined) return [{ kind: "backend_removed", backend }];
    const files = withChangedFiles.has(backend) ? ["caBundlePath"] : [];
    const fields = [...new Set([...keysThatDiffer(was, is), ...files])].toSorted();
    if (fields.length === 0) return [];
    return [{ kind: "backend_changed", backend, fields, connections: connectionsAfter(fields) }];
  });
}

function connectionsAfter(fields: readonly string[]): "keep" | "reconnect" | "replace" {
  if (fields.some((field) => IDENTIFYING.has(field))) return "replace";
  return fields.every((field) => ADJUSTABLE.has(field)) ? "keep" : "reconnect";
}

/** Sorted. What is absent in one and undefined in the other does not differ. */
function keysThatDiffer(
  left: ReadonlyMap<string, unknown>,
  right: ReadonlyMap<string, unknown>,
): readonly string[] {
  const keys = [...new Set([...left.keys(), ...right.keys()])];
  return keys.filter((key) => !isDeepStrictEqual(left.get(key), right.get(key))).toSorted();
}
