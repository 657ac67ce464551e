import type { ConfigPath } from "../problems.ts";
import type { RawObject } from "../raw-values.ts";
import { isRawObject, listOf, objectOf, valueAt } from "../raw-values.ts";
import type { ConfigFormat } from "../sources/parse-source.ts";
import { closestOf } from "../suggestion.ts";

/** One server as a client's configuration names it. */
export interface ClientServer {
  readonly name: string;
  readonly path: ConfigPath;
  readonly entry: unknown;
}

/** Where clients keep their servers. One key with a dot is how some editors flatten their settings. */
const SERVER_PATHS: readonly ConfigPath[] = [
  ["mcpServers"],
  ["servers"],
  ["mcp", "servers"],
  ["mcp.servers"],
  ["context_servers"],
  ["mcp_servers"],
];

const CLIENT_KEYS: ReadonlySet<string> = new Set([
  "mcpServers",
  "servers",
  "mcp",
  "mcp.servers",
  "context_servers",
  "mcp_servers",
  "inputs",
]);

/** Fields that no client has, so that a file with one of them (or a slip of one) is ours. */
const OWN_KEYS: ReadonlySet<string> = new Set([
  "backends",
  "groupRef",
  "incomingAuth",
  "outgoingAuth",
  "aggregation",
  "operational",
  "compositeTools",
  "limits",
  "sessionStorage",
  "passthroughHeaders",
  "rateLimiting",
]);
const OWN_KEYS_WITHOUT_SLIPS: ReadonlySet<string> = new Set(["group", "server", "admin"]);

/**
 * Whether a file is the configuration of an MCP client rather than one of ours.
 *
 * A file that has servers and also one of our fields, even a misspelt one, is ours: a slip in `incomingAuth`
 * must not turn a configuration into one that lets everyone in. YAML is a client's only if nothing else is in it.
 */
export function isClientConfig(value: unknown, format: ConfigFormat): boolean {
  if (format === "toml") return true;
  if (!isRawObject(value) || !holdsServers(value)) return false;
  const others = Object.keys(value).filter((key) => !CLIENT_KEYS.has(key));
  if (format === "yaml") return others.length === 0;
  const isPlainOwn = (key: string): boolean =>
    OWN_KEYS_WITHOUT_SLIPS.has(key) && value["mcpServers"] !== undefined;
  return !others.some((key) => isPlainOwn(key) || closestOf(key, OWN_KEYS) !== undefined);
}

/** Every server of a client's configuration, in its order; of a history file also those of the project at `cwd`. */
export function clientServers(value: unknown, cwd?: string): readonly ClientServer[] {
  const paths = [...SERVER_PATHS, ...(cwd === undefined ? [] : [["projects", cwd, "mcpServers"]])];
  const servers = paths.flatMap((path) => serversAt(value, path));
  return [...servers, ...flatServers(value)].filter(({ name }) => !isExcluded(value, name));
}

function serversAt(value: unknown, path: ConfigPath): readonly ClientServer[] {
  return Object.entries(objectOf(valueAt(value, path))).map(([name, entry]) => ({
    name,
    path: [...path, name],
    entry,
  }));
}

/** Servers directly under `mcp`, beside which other clients keep lists and switches. */
function flatServers(value: unknown): readonly ClientServer[] {
  const mcp = objectOf(valueAt(value, ["mcp"]));
  return serversAt(value, ["mcp"]).filter(
    ({ name, entry }) => name !== "servers" && mcp["servers"] === undefined && isServer(entry),
  );
}

function isServer(entry: unknown): boolean {
  const { type, command, url } = objectOf(entry);
  return [type, command, url].some((field) => field !== undefined);
}

function isExcluded(value: unknown, name: string): boolean {
  const { allowed, excluded } = objectOf(valueAt(value, ["mcp"]));
  const isAllowed = !Array.isArray(allowed) || allowed.length === 0 || allowed.includes(name);
  return !isAllowed || listOf(excluded).includes(name);
}

function holdsServers(value: RawObject): boolean {
  const isNamed = SERVER_PATHS.some((path) => isRawObject(valueAt(value, path)));
  return isNamed || flatServers(value).length > 0 || isRawObject(value["projects"]);
}
