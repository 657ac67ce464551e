import type { ConfigPath, Finding } from "./problems.ts";
import { pathText, problem } from "./problems.ts";
import { isRawObject } from "./raw-values.ts";

/** The environment as a process has it; never changed here. */
export type Environment = Readonly<Record<string, string | undefined>>;

export interface ReferenceSources {
  readonly env: Environment;
  /** Names that are not environment variables, such as `workspaceFolder`; they win over variables. */
  readonly variables: ReadonlyMap<string, string>;
  /** Reads a secret file; throws an `Error` whose message says what is wrong with it. */
  readonly readSecret: (path: string) => string;
}

/** A copy of a configuration with its references replaced by what they stand for. */
export interface Expanded {
  readonly value: unknown;
  readonly findings: readonly Finding[];
  /** Texts (as `pathText`) that hold a resolved value and must never be shown. */
  readonly secretPaths: ReadonlySet<string>;
}

const REFERENCE = /\$\$\{|\$\{(?<body>[^{}]*)\}/g;
const NAMED = /^(?:env:)?(?<name>[A-Za-z_][\w.-]{0,127}?)(?::-(?<fallback>.*))?$/s;

/**
 * Replaces `${env:NAME}`, `${NAME}`, `${NAME:-default}` and `${file:/path}` in every text of a configuration.
 * `$${` stands for a literal `${`. A reference that resolves to nothing, also to an empty text, is a problem.
 */
export function expandReferences(value: unknown, sources: ReferenceSources): Expanded {
  const findings: Finding[] = [];
  const secretPaths = new Set<string>();
  const expand = (item: unknown, path: ConfigPath): unknown => {
    if (typeof item === "string") return expandText(item, path);
    if (Array.isArray(item)) return item.map((entry, index) => expand(entry, [...path, index]));
    if (!isRawObject(item)) return item;
    return Object.fromEntries(
      Object.entries(item).map(([key, entry]) => [key, expand(entry, [...path, key])]),
    );
  };
  const expandText = (text: string, path: ConfigPath): string => {
    if (!text.includes("${")) return text;
    return text.replaceAll(REFERENCE, (whole: string, body?: string) => {
      if (body === undefined) return "${";
      const resolved = resolve(body, sources);
      secretPaths.add(pathText(path));
      if (typeof resolved === "string") return resolved;
      findings.push(problem(path, resolved.fault));
      return whole;
    });
  };
  return { value: expand(value, []), findings, secretPaths };
}

/** The value of a variable that a `…Env` field names; a variable that is empty counts as absent. */
export function lookUp(env: Environment, name: string): string | undefined {
  const value = Object.hasOwn(env, name) ? env[name] : undefined;
  return value === "" ? undefined : value;
}

function resolve(body: string, sources: ReferenceSources): string | { readonly fault: string } {
  if (body.startsWith("file:")) return readSecret(body.slice("file:".length), sources);
  if (body.startsWith("input:")) {
    return {
      fault: `\${${body}} is a question that only the editor can ask; use an environment variable instead, as in \${env:NAME}`,
    };
  }
  const groups = NAMED.exec(body)?.groups;
  const name = groups?.["name"];
  if (name === undefined) {
    return {
      fault:
        "holds a ${…} that is not a reference; write ${env:NAME}, ${file:/path}, or $${ for a literal ${",
    };
  }
  const value = sources.variables.get(name) ?? lookUp(sources.env, name) ?? groups?.["fallback"];
  return value ?? { fault: `needs the environment variable ${name}, which is not set or empty` };
}

function readSecret(path: string, sources: ReferenceSources): string | { readonly fault: string } {
  try {
    const text = sources.readSecret(path).replace(/\r?\n$/, "");
    return text === "" ? { fault: `names the secret file ${path}, which is empty` } : text;
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : "cannot be read";
    return { fault: `names the secret file ${path}, which ${reason}` };
  }
}
