import { basename, dirname } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { ConfigProblem, Finding } from "../problems.ts";
import { ConfigError, pathText } from "../problems.ts";
import type { RawObject } from "../raw-values.ts";
import { listOf } from "../raw-values.ts";
import type { ReadFile } from "../read-bounded-file.ts";
import { readBoundedFile } from "../read-bounded-file.ts";
import type { SourceTree } from "../sources/source-tree.ts";
import { limitsFor, parseSource } from "../sources/parse-source.ts";
import { clientServers } from "./client-servers.ts";
import { convertServers, uniqueName } from "./convert-client-config.ts";
import type { ClientConfigFile } from "./find-client-configs.ts";
import type { SecretVariable } from "./hide-secrets.ts";
import { SecretHider } from "./hide-secrets.ts";

export interface ImportOptions {
  readonly home: string;
  /** The folder whose project entry in a client's history file counts, and that the result is for. */
  readonly cwd: string;
  /** Reads a file; default from the disk. */
  readonly readFile?: ReadFile;
}

export interface ImportedConfig {
  /** A configuration of ours. References of the files are kept as references. */
  readonly input: RawObject;
  /** Variables that must be set before the result works, because secrets were taken out. */
  readonly variables: readonly SecretVariable[];
  /** What was left out or changed; and each file that cannot be read, which is skipped. */
  readonly warnings: readonly ConfigProblem[];
}

/**
 * Merges the servers of clients' configuration files into one configuration of ours, in the order of the
 * files. A server that is there twice under one name and equal comes once, a different one gets a suffix.
 * What looks like a secret becomes a reference, so that the result can be committed. Runs nothing.
 */
export function importClientConfigs(
  files: readonly ClientConfigFile[],
  options: ImportOptions,
): ImportedConfig {
  const merged: Merged[] = [];
  const warnings: ConfigProblem[] = [];
  for (const file of files) {
    const imported = importFile(file, options);
    warnings.push(...imported.warnings);
    merge(imported, merged);
  }
  const hider = new SecretHider();
  const backends = merged.map(({ name, rest }) => hider.hide({ name, ...rest }));
  const tools = merged.flatMap(({ name, filter }) =>
    filter === undefined ? [] : [{ workload: name, filter }],
  );
  const aggregation = tools.length > 0 ? { aggregation: { tools } } : {};
  return {
    input: { backends, ...aggregation, operational: { sessionManagementV2: true } },
    variables: hider.variables,
    warnings,
  };
}

interface Merged {
  /** As the file calls it. */
  readonly original: string;
  readonly name: string;
  readonly rest: RawObject;
  readonly filter: readonly unknown[] | undefined;
}

interface ImportedFile {
  readonly backends: readonly RawObject[];
  readonly tools: readonly RawObject[];
  readonly warnings: readonly ConfigProblem[];
}

function importFile({ host, path }: ClientConfigFile, options: ImportOptions): ImportedFile {
  const { home, cwd, readFile = readBoundedFile } = options;
  let tree: SourceTree;
  try {
    tree = parseSource(readFile(path, limitsFor(path).maxBytes), path);
  } catch (thrown) {
    return { backends: [], tools: [], warnings: unreadable(thrown, path) };
  }
  const convertOptions = { isLenient: true, isUrlSse: host === "gemini-cli" };
  const converted = convertServers(clientServers(tree.value, cwd), convertOptions);
  const project = projectOf(path, options);
  const withFolders = (value: unknown): unknown => replaceFolders(value, home, project);
  return {
    backends: converted.backends.map((backend) =>
      Object.fromEntries(Object.entries(backend).map(([key, value]) => [key, withFolders(value)])),
    ),
    tools: converted.tools,
    warnings: converted.findings.map((finding) => located(finding, tree, path)),
  };
}

/** A file of a project is about the folder it lies in; a file of the user is about where the user works now. */
function projectOf(path: string, { home, cwd }: ImportOptions): string {
  const folder = dirname(path);
  const project = basename(folder).startsWith(".") ? dirname(folder) : folder;
  return project === home || !path.startsWith(cwd) ? cwd : project;
}

function replaceFolders(value: unknown, home: string, project: string): unknown {
  if (typeof value === "string") {
    return value.replaceAll("${userHome}", home).replaceAll("${workspaceFolder}", project);
  }
  if (Array.isArray(value)) return value.map((item) => replaceFolders(item, home, project));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, replaceFolders(item, home, project)]),
  );
}

/** Adds what is new; equal servers count as one only if their files call them the same. */
function merge(file: ImportedFile, merged: Merged[]): void {
  for (const { name, ...rest } of file.backends) {
    const original = String(name);
    const isKnown = merged.some(
      (other) => other.original === original && isSameServer(other.rest, rest),
    );
    if (isKnown) continue;
    const tools = file.tools.find(({ workload }) => workload === original);
    const taken = new Set(merged.map((other) => other.name));
    const filter = tools === undefined ? undefined : listOf(tools["filter"]);
    merged.push({ original, name: uniqueName(original, taken), rest, filter });
  }
}

/** Clients that find a server's transport out by trying do not say it: that makes no other server of it. */
function isSameServer(left: RawObject, right: RawObject): boolean {
  const { transport, ...rest } = left;
  const { transport: otherTransport, ...otherRest } = right;
  const isSaidOnce = transport === "auto" || otherTransport === "auto";
  return (isSaidOnce || transport === otherTransport) && isDeepStrictEqual(rest, otherRest);
}

function unreadable(thrown: unknown, file: string): readonly ConfigProblem[] {
  if (thrown instanceof ConfigError) return thrown.problems;
  const message = `the file ${thrown instanceof Error ? thrown.message : "cannot be read"}`;
  return [{ file, line: 1, column: 1, path: "", message }];
}

function located(
  { severity: _severity, path, ...rest }: Finding,
  tree: SourceTree,
  file: string,
): ConfigProblem {
  return { file, ...tree.locate(path), path: pathText(path), ...rest };
}
