import { isBackendName } from "../../domain/ids.ts";
import type { ConfigPath, Finding } from "../problems.ts";
import { problem, warning } from "../problems.ts";
import type { RawObject } from "../raw-values.ts";
import type { ClientServer } from "./client-servers.ts";
import type { ConvertOptions } from "./convert-server.ts";
import { convertServer } from "./convert-server.ts";

const MAX_NAME_CHARS = 48;

/** Says that what stands at `target` of our configuration came from `source` in the file. */
export interface Origin {
  readonly target: ConfigPath;
  readonly source: ConfigPath;
}

export interface ConvertedServers {
  /** Entries of `backends`, in the order of the servers. */
  readonly backends: readonly RawObject[];
  /** Entries of `aggregation.tools` for servers that the client restricts to some tools. */
  readonly tools: readonly RawObject[];
  readonly origins: readonly Origin[];
  /** With paths into the client's file. */
  readonly findings: readonly Finding[];
  /** Names of servers that were left out, which settings may still speak of. */
  readonly leftOut: readonly string[];
}

/** What the configuration holds before a client's servers are added to it. */
export interface Before {
  readonly backends: number;
  readonly tools: number;
  readonly names: readonly string[];
}

const NOTHING: Before = { backends: 0, tools: 0, names: [] };

/**
 * Turns a client's servers into entries of `backends`. Names that backends cannot have are changed, with a
 * warning, so that they stay unique among themselves and the names there were before.
 */
export function convertServers(
  servers: readonly ClientServer[],
  options: ConvertOptions,
  before: Before = NOTHING,
): ConvertedServers {
  const names = new Set(before.names);
  const backends: RawObject[] = [];
  const tools: RawObject[] = [];
  const origins: Origin[] = [];
  const findings: Finding[] = [];
  const leftOut: string[] = [];
  for (const server of servers) {
    const converted = convertServer(server, options);
    findings.push(...converted.findings);
    if (converted.backend === undefined) {
      leftOut.push(server.name);
      continue;
    }
    const name = uniqueName(server.name, names);
    findings.push(...reportName(server, name, before.names));
    names.add(name);
    const target = ["backends", before.backends + backends.length];
    origins.push({ target, source: server.path });
    for (const { field, source } of converted.origins) {
      origins.push({ target: [...target, ...field], source });
    }
    backends.push({ name, ...converted.backend });
    if (converted.filter === undefined) continue;
    const rule = ["aggregation", "tools", before.tools + tools.length];
    const source = [...server.path, converted.filter.field];
    origins.push({ target: rule, source }, { target: [...rule, "filter"], source });
    tools.push({ workload: name, filter: converted.filter.tools });
  }
  return { backends, tools, origins, findings, leftOut };
}

/** Leads a path in our configuration back to where its value stands in the file, by the longest origin. */
export function sourcePath(path: ConfigPath, origins: readonly Origin[]): ConfigPath {
  let best: Origin | undefined;
  for (const origin of origins) {
    const isPrefix = origin.target.every((segment, index) => segment === path[index]);
    if (isPrefix && origin.target.length > (best?.target.length ?? 0)) best = origin;
  }
  return best === undefined ? path : [...best.source, ...path.slice(best.target.length)];
}

/** A valid backend name made of any text, different from those in `taken`. */
export function uniqueName(text: string, taken: ReadonlySet<string>): string {
  const base = text.replaceAll(/[^A-Za-z0-9_-]/g, "_").slice(0, MAX_NAME_CHARS) || "server";
  if (!taken.has(base)) return base;
  for (let number = 2; ; number += 1) {
    const suffix = `_${String(number)}`;
    const name = `${base.slice(0, MAX_NAME_CHARS - suffix.length)}${suffix}`;
    if (!taken.has(name)) return name;
  }
}

function reportName(
  { name: original, path }: ClientServer,
  name: string,
  taken: readonly string[],
): readonly Finding[] {
  if (name === original) return [];
  if (isBackendName(original) && taken.includes(original)) {
    return [problem(path, "is the name of an entry in `backends` already")];
  }
  return [
    warning(path, `is called "${name}" here, because names are 1 to 48 of A-Z, a-z, 0-9, _ and -`),
  ];
}
