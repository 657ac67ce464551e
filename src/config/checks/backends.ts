import { isExposedHttp } from "../addresses.ts";
import { parseDurationMs } from "../units.ts";
import type { ConfigPath, Finding } from "../problems.ts";
import { problem } from "../problems.ts";
import type { RawObject } from "../raw-values.ts";
import { isRawObject, listOf, objectOf, textOf } from "../raw-values.ts";

const STDIO_FIELDS = ["command", "args", "env", "cwd"] as const;
const HTTP_FIELDS = ["url", "headers", "caBundlePath", "allowInsecureHttp"] as const;

/** What stands in for a wait between restarts that is not given; the schema fills in the same. */
const DEFAULT_BACKOFF = { shortest: "1s", longest: "60s" } as const;

/** How the fields of each backend go together, and that names are unique. */
export function checkBackends(raw: RawObject): readonly Finding[] {
  const backends = listOf(raw["backends"]);
  return [
    ...checkNames(backends),
    ...backends.flatMap((backend, index) =>
      isRawObject(backend) ? checkBackend(backend, ["backends", index]) : [],
    ),
  ];
}

/** What `transport` says or, where it is absent, what the other fields say. */
export function transportOf(backend: RawObject): "streamable-http" | "sse" | "auto" | "stdio" {
  const named = backend["transport"];
  if (named === "stdio" || named === "sse" || named === "auto") return named;
  if (named !== undefined) return "streamable-http";
  return backend["command"] === undefined && backend["stdio"] === undefined
    ? "streamable-http"
    : "stdio";
}

function checkNames(backends: readonly unknown[]): readonly Finding[] {
  const firsts = new Map<string, number>();
  return backends.flatMap((backend, index) => {
    const name = textOf(objectOf(backend)["name"]);
    if (name === undefined) return [];
    const first = firsts.get(name);
    if (first === undefined) {
      firsts.set(name, index);
      return [];
    }
    const message = `is the name of another backend (the ${ordinal(first)} in the list) already`;
    return [problem(["backends", index, "name"], message)];
  });
}

function checkBackend(backend: RawObject, path: ConfigPath): readonly Finding[] {
  return transportOf(backend) === "stdio"
    ? [
        ...checkStdio(backend, path),
        ...checkRestart(objectOf(backend["restart"]), [...path, "restart"]),
        ...checkForeign(backend, path, HTTP_FIELDS, "stdio"),
      ]
    : [
        ...checkHttp(backend, path),
        ...checkForeign(backend, path, ["stdio", ...STDIO_FIELDS, "restart"], "HTTP"),
      ];
}

function checkStdio(backend: RawObject, path: ConfigPath): readonly Finding[] {
  if (backend["stdio"] === undefined) {
    return backend["command"] === undefined
      ? [problem([...path, "command"], "is missing; a stdio backend needs a program to run")]
      : [];
  }
  return STDIO_FIELDS.filter((field) => backend[field] !== undefined).map((field) =>
    problem([...path, field], "stands beside the block `stdio`; put it there"),
  );
}

function checkRestart(restart: RawObject, path: ConfigPath): readonly Finding[] {
  const shortest = textOf(restart["backoffMin"]) ?? DEFAULT_BACKOFF.shortest;
  const longest = textOf(restart["backoffMax"]) ?? DEFAULT_BACKOFF.longest;
  const shortestMs = parseDurationMs(shortest);
  const longestMs = parseDurationMs(longest);
  if (shortestMs === undefined || longestMs === undefined || shortestMs <= longestMs) return [];
  const field = restart["backoffMax"] === undefined ? "backoffMin" : "backoffMax";
  const message = `makes the longest wait (${longest}) shorter than the shortest (${shortest})`;
  return [problem([...path, field], message)];
}

function checkHttp(backend: RawObject, path: ConfigPath): readonly Finding[] {
  const url = textOf(backend["url"]);
  const findings: Finding[] = [];
  if (backend["url"] === undefined) {
    findings.push(problem([...path, "url"], "is missing; a backend needs a url or a command"));
  }
  if (url !== undefined && isExposedHttp(url) && backend["allowInsecureHttp"] !== true) {
    const message =
      "sends everything readable over a public network; use https:// or set allowInsecureHttp: true";
    findings.push(problem([...path, "url"], message));
  }
  if (backend["transport"] === "sse" && backend["revision"] === "2026-07-28") {
    const message = "cannot be spoken over transport sse; use streamable-http";
    findings.push(problem([...path, "revision"], message));
  }
  return [...findings, ...checkHeaderNames(objectOf(backend["headers"]), [...path, "headers"])];
}

function checkHeaderNames(headers: RawObject, path: ConfigPath): readonly Finding[] {
  const seen = new Set<string>();
  return Object.keys(headers).flatMap((name) => {
    const isRepeated = seen.has(name.toLowerCase());
    seen.add(name.toLowerCase());
    return isRepeated ? [problem([...path, name], "is there twice, written differently")] : [];
  });
}

function checkForeign(
  backend: RawObject,
  path: ConfigPath,
  fields: readonly string[],
  kind: string,
): readonly Finding[] {
  return fields
    .filter((field) => backend[field] !== undefined)
    .map((field) => problem([...path, field], `means nothing for a backend over ${kind}`));
}

function ordinal(index: number): string {
  const number = index + 1;
  const suffixes = ["th", "st", "nd", "rd"];
  const isTeen = Math.floor(number / 10) % 10 === 1;
  return `${String(number)}${(isTeen ? undefined : suffixes[number % 10]) ?? "th"}`;
}
