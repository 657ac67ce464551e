import { createHmac } from "node:crypto";
import { SecretHider } from "./clients/hide-secrets.ts";
import type { RawObject } from "./raw-values.ts";
import { isRawObject, listOf, objectOf } from "./raw-values.ts";
import type { BackendConfig, ComparableConfig, VmcpConfig } from "./vmcp-config.ts";

/** The same, every value replaced by what only tells whether it is equal. */
export interface ConfigDigests {
  /** Without it the same value would have the same digest everywhere. */
  readonly salt: string;
  readonly backends: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly settings: Readonly<Record<string, string>>;
}

/** Stands for a value of a header or a variable that is written in the file itself. */
export const LITERAL = "(literal)";

const DIGEST_LENGTH = 16;

/** Secrets included: for comparing within one process. */
export function toComparable(config: Omit<VmcpConfig, "comparable">): ComparableConfig {
  return {
    backends: new Map(config.backends.map((backend) => [backend.name, fieldsOf(backend)])),
    settings: settingsOf(config),
  };
}

/**
 * A copy of a checked configuration without its secrets: what came from a reference is the reference again, and
 * values of headers and variables that are written in the file are `LITERAL`. `raw` is what the file said.
 */
export function withoutSecrets<T extends { readonly backends: readonly object[] }>(
  input: T,
  raw: RawObject,
): T {
  const written = objectOf(asWritten(input, raw));
  const backends = listOf(written["backends"]).map((entry, index) => ({
    ...hideIn(objectOf(entry)),
    name: objectOf(input.backends[index])["name"],
  }));
  // It has the shape that it was made from; only texts in it are others.
  return {
    ...written,
    backends,
    outgoingAuth: hideValues(written["outgoingAuth"]),
    incomingAuth: hideValues(written["incomingAuth"]),
    server: hideKeys(objectOf(written["server"])),
  } as unknown as T;
}

/** Whether something in it is written in the file itself and therefore never compared. */
export function hasLiterals({ backends }: ComparableConfig): boolean {
  return [...backends.values()].some((fields) =>
    ["headers", "env", "outgoingAuth"].some((field) => holdsLiteral(fields.get(field))),
  );
}

function holdsLiteral(value: unknown): boolean {
  return value === LITERAL || (isRawObject(value) && Object.values(value).some(holdsLiteral));
}

export function digestsOf({ backends, settings }: ComparableConfig, salt: string): ConfigDigests {
  const digestAll = (
    values: ReadonlyMap<string, unknown>,
    owner: string,
  ): Readonly<Record<string, string>> =>
    Object.fromEntries([...values].map(([key, value]) => [key, digest(salt, [owner, key, value])]));
  return {
    salt,
    backends: Object.fromEntries(
      [...backends].map(([name, fields]) => [name, digestAll(fields, name)]),
    ),
    settings: digestAll(settings, ""),
  };
}

function digest(salt: string, content: unknown): string {
  const text = JSON.stringify(content, (_key, value: unknown) =>
    isRawObject(value) ? Object.fromEntries(Object.entries(value).toSorted(byKey)) : value,
  );
  return createHmac("sha256", salt).update(text).digest("hex").slice(0, DIGEST_LENGTH);
}

function byKey([left]: readonly [string, unknown], [right]: readonly [string, unknown]): number {
  return left < right ? -1 : 1;
}

function fieldsOf({ timeouts, ...backend }: BackendConfig): ReadonlyMap<string, unknown> {
  const own = Object.entries(backend);
  const times = Object.entries(timeouts).map(([key, value]) => [`timeouts.${key}`, value] as const);
  return new Map([...own, ...times].map(([key, value]) => [withoutUnit(key), value]));
}

/** Compared and named as one, because its fields only mean something together. */
const WHOLE: ReadonlySet<string> = new Set([
  "aggregation",
  "incomingAuth",
  "authz",
  "rateLimiting",
]);

/** Not settings of their own: compared apart, or only a note on how another one came about. */
const LEFT_OUT: ReadonlySet<string> = new Set([
  "backends",
  "comparable",
  "operational.sessionManagementV2Named",
]);

function settingsOf(config: object): ReadonlyMap<string, unknown> {
  const settings = new Map<string, unknown>();
  const walk = (value: unknown, path: string): void => {
    if (LEFT_OUT.has(path)) return;
    if (!isRawObject(value) || WHOLE.has(path)) {
      settings.set(toFileName(path), value);
      return;
    }
    for (const [key, entry] of Object.entries(value)) {
      walk(entry, path === "" ? key : `${path}.${key}`);
    }
  };
  walk(config, "");
  return settings;
}

/** What stands elsewhere in the file than in `VmcpConfig`. */
const FILE_NAMES: ReadonlyMap<string, string> = new Map([["authz", "incomingAuth.authz"]]);

/** The name that a setting has in the file, by its path in `VmcpConfig`. */
export function toFileName(path: string): string {
  return FILE_NAMES.get(path) ?? withoutUnit(path);
}

/** The file has units in its values and not in its names. */
function withoutUnit(name: string): string {
  return name.replace(/Ms$/, "");
}

function asWritten(value: unknown, raw: unknown): unknown {
  if (typeof raw === "string" && raw.includes("${")) return raw;
  if (Array.isArray(value))
    return value.map((entry, index) => asWritten(entry, listOf(raw)[index]));
  if (!isRawObject(value)) return value;
  const rawObject = objectOf(raw);
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => [key, asWritten(entry, rawObject[key])]),
  );
}

function hideIn(backend: RawObject): RawObject {
  const { headers, env, stdio, ...rest } = backend;
  return {
    ...new SecretHider().hide(rest),
    ...(headers !== undefined && { headers: hideLiterals(headers) }),
    ...(env !== undefined && { env: hideLiterals(env) }),
    ...(stdio !== undefined && { stdio: hideIn(objectOf(stdio)) }),
  };
}

function hideKeys({ stateKeys, ...server }: RawObject): RawObject {
  const keys = listOf(stateKeys).map((key) => (String(key).includes("${") ? key : LITERAL));
  return { ...server, stateKeys: keys };
}

function hideLiterals(values: unknown): RawObject {
  return Object.fromEntries(
    Object.entries(objectOf(values)).map(([key, value]) => [
      key,
      String(value).includes("${") ? value : LITERAL,
    ]),
  );
}

/** The parts of an outgoing strategy that are sent as they are. */
const SENT_VALUE = /value$|secret$/i;

function hideValues(auth: unknown): unknown {
  if (Array.isArray(auth)) return auth.map(hideValues);
  if (!isRawObject(auth)) return auth;
  return Object.fromEntries(
    Object.entries(auth).map(([key, value]) =>
      typeof value === "string" && SENT_VALUE.test(key) && !value.includes("${")
        ? [key, LITERAL]
        : [key, hideValues(value)],
    ),
  );
}
