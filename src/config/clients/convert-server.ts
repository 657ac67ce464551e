import type { ConfigPath, Finding } from "../problems.ts";
import { problem, warning } from "../problems.ts";
import type { RawObject } from "../raw-values.ts";
import { isRawObject, listOf, objectOf, textOf } from "../raw-values.ts";
import { isGatewayHeader } from "../schema/fields.ts";
import type { ClientServer } from "./client-servers.ts";

/** Says that what stands at `field` of a backend came from `source` in the client's file. */
interface FieldOrigin {
  readonly field: ConfigPath;
  readonly source: ConfigPath;
}

export interface ConvertedServer {
  /** An entry of `backends` without its name; absent where the server is left out. */
  readonly backend?: RawObject;
  /** Tools that the client restricts the server to, and under which field it says so. */
  readonly filter?: { readonly tools: readonly unknown[]; readonly field: string };
  readonly origins: readonly FieldOrigin[];
  readonly findings: readonly Finding[];
}

export interface ConvertOptions {
  /** Leave out what cannot be reached, with a warning, instead of refusing the file. */
  readonly isLenient: boolean;
  /** One client means SSE by a `url` without a type. */
  readonly isUrlSse: boolean;
}

/** `url`: over HTTP, and the client finds out by trying in which way. */
type ServerKind = "stdio" | "http" | "sse" | "url" | "websocket";

const KINDS = new Map<string, ServerKind>([
  ["stdio", "stdio"],
  ["local", "stdio"],
  ["http", "http"],
  ["remote", "url"],
  ["streamable", "http"],
  ["streamablehttp", "http"],
  ["sse", "sse"],
  ["ws", "websocket"],
  ["websocket", "websocket"],
]);

/** What this conversion reads. */
const READ_FIELDS: ReadonlySet<string> = new Set(
  (
    "type transport command args env environment cwd disabled enabled url httpUrl serverUrl headers " +
    "http_headers env_http_headers bearer_token_env_var includeTools enabled_tools"
  ).split(" "),
);

/** About the client's own user interface. */
const CLIENT_ONLY_FIELDS: ReadonlySet<string> = new Set(
  (
    "name description version icon gallery source trust dev alwaysAllow autoApprove timeout " +
    "startup_timeout_sec tool_timeout_sec"
  ).split(" "),
);

const URL_FIELDS = ["httpUrl", "url", "serverUrl"] as const;

/** Turns one server of a client's configuration into an entry of `backends`. References stay as they are. */
export function convertServer(server: ClientServer, options: ConvertOptions): ConvertedServer {
  const { entry, path } = server;
  if (!isRawObject(entry)) return leftOut(problem(path, "must be a mapping"));
  if (entry["disabled"] === true || entry["enabled"] === false) return leftOut();
  const kind = kindOfServer(entry, options);
  if (kind === undefined) return leftOut(unclear(entry, path));
  if (kind === "websocket") return leftOut(unreachable(path, options));
  const converted = kind === "stdio" ? convertStdio(entry, path) : convertHttp(entry, path, kind);
  const field = entry["includeTools"] === undefined ? "enabled_tools" : "includeTools";
  const tools = entry[field];
  return {
    ...converted,
    ...(Array.isArray(tools) ? { filter: { tools, field } } : {}),
    findings: [...converted.findings, ...reportRest(entry, path)],
  };
}

function leftOut(...findings: readonly Finding[]): ConvertedServer {
  return { origins: [], findings };
}

function kindOfServer(entry: RawObject, { isUrlSse }: ConvertOptions): ServerKind | undefined {
  const named = entry["type"] ?? entry["transport"];
  if (named !== undefined) {
    return KINDS.get((textOf(named) ?? "").toLowerCase().replaceAll(/[-_]/g, ""));
  }
  if (entry["command"] !== undefined) return "stdio";
  if (entry["httpUrl"] !== undefined) return "http";
  if (textOf(entry["url"] ?? entry["serverUrl"]) === undefined) return undefined;
  return isUrlSse ? "sse" : "url";
}

function unclear(entry: RawObject, path: ConfigPath): Finding {
  const field = ["type", "transport"].find((name) => entry[name] !== undefined);
  if (field !== undefined) {
    return problem([...path, field], "is not a known transport; write stdio, http or sse");
  }
  if (entry["settings"] !== undefined || entry["source"] === "extension") {
    return warning(path, "belongs to an extension of the editor, which starts it; it is left out");
  }
  return problem(path, "needs a command or a url");
}

function unreachable(path: ConfigPath, { isLenient }: ConvertOptions): Finding {
  return isLenient
    ? warning(path, "uses websockets, which this version does not speak; it is left out")
    : problem(path, "uses websockets, which this version does not speak");
}

function convertStdio(entry: RawObject, path: ConfigPath): ConvertedServer {
  const command = entry["command"];
  const envField =
    entry["env"] === undefined && entry["environment"] !== undefined ? "environment" : "env";
  const common = {
    ...optional("env", textValues(entry[envField])),
    ...optional("cwd", entry["cwd"]),
  };
  const origins = [{ field: ["env"], source: [...path, envField] }];
  const args = listOf(entry["args"]);
  if (Array.isArray(command)) {
    const program: unknown = command[0];
    return {
      backend: { command: program, args: [...command.slice(1), ...args], ...common },
      origins: [...origins, ...argvOrigins(command, path)],
      findings: [],
    };
  }
  if (isRawObject(command)) {
    return convertStdio({ ...entry, ...command, command: command["path"] }, path);
  }
  return {
    backend: { command, ...optional("args", entry["args"]), ...common },
    origins,
    findings: [],
  };
}

function argvOrigins(command: readonly unknown[], path: ConfigPath): readonly FieldOrigin[] {
  return command.map((_argument, index) => ({
    field: index === 0 ? ["command"] : ["args", index - 1],
    source: [...path, "command", index],
  }));
}

/** What a backend's `transport` has to say of each; the default needs no words. */
const TRANSPORTS = { http: undefined, sse: "sse", url: "auto" } as const;

function convertHttp(
  entry: RawObject,
  path: ConfigPath,
  kind: keyof typeof TRANSPORTS,
): ConvertedServer {
  const urlField = URL_FIELDS.find((field) => entry[field] !== undefined) ?? "url";
  const headersField =
    entry["headers"] === undefined && entry["http_headers"] !== undefined
      ? "http_headers"
      : "headers";
  const given = objectOf(textValues(entry[headersField]));
  const dropped = Object.keys(given).filter((name) => isGatewayHeader(name));
  const headers = {
    ...Object.fromEntries(Object.entries(given).filter(([name]) => !isGatewayHeader(name))),
    ...variableHeaders(entry),
  };
  return {
    backend: {
      ...optional("transport", TRANSPORTS[kind]),
      url: entry[urlField],
      ...optional("headers", headers),
    },
    origins: [
      { field: ["url"], source: [...path, urlField] },
      { field: ["headers"], source: [...path, headersField] },
      ...variableOrigins(entry, path),
    ],
    findings: dropped.map((name) =>
      warning(
        [...path, headersField, name],
        "is a header that the gateway sets itself; it is left out",
      ),
    ),
  };
}

/** Headers whose values are named as environment variables. */
function variableHeaders(entry: RawObject): RawObject {
  const bearer = textOf(entry["bearer_token_env_var"]);
  const named = Object.entries(objectOf(entry["env_http_headers"]));
  return Object.fromEntries([
    ...named.map(([header, variable]) => [header, `\${env:${String(variable)}}`]),
    ...(bearer === undefined ? [] : [["Authorization", `Bearer \${env:${bearer}}`]]),
  ]);
}

function variableOrigins(entry: RawObject, path: ConfigPath): readonly FieldOrigin[] {
  const headers = Object.keys(objectOf(entry["env_http_headers"]));
  return [
    ...headers.map((header) => ({
      field: ["headers", header],
      source: [...path, "env_http_headers", header],
    })),
    ...(entry["bearer_token_env_var"] === undefined
      ? []
      : [{ field: ["headers", "Authorization"], source: [...path, "bearer_token_env_var"] }]),
  ];
}

/** Clients write numbers and switches without quotes, and some write a variable as `$NAME`. */
function textValues(value: unknown): unknown {
  if (!isRawObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, textValue(item)]));
}

function textValue(value: unknown): unknown {
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (typeof value !== "string") return value;
  return value.replace(
    /^\$(?<name>[A-Za-z_][A-Za-z0-9_]*)$/,
    (_whole, name: string) => `\${${name}}`,
  );
}

function optional(field: string, value: unknown): RawObject {
  return value === undefined ? {} : { [field]: value };
}

function reportRest(entry: RawObject, path: ConfigPath): readonly Finding[] {
  return Object.keys(entry).flatMap((field) => {
    if (READ_FIELDS.has(field) || CLIENT_ONLY_FIELDS.has(field)) return [];
    if (field === "envFile") {
      return [problem([...path, field], "is not read in this version; put the variables into env")];
    }
    return [warning([...path, field], "has no effect here")];
  });
}
