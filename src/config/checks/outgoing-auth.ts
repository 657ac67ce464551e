import type { ConfigPath, Finding } from "../problems.ts";
import { problem, warning } from "../problems.ts";
import type { RawObject } from "../raw-values.ts";
import { isRawObject, listOf, objectOf, textOf } from "../raw-values.ts";
import type { Environment } from "../references.ts";
import { lookUp } from "../references.ts";
import { didYouMean } from "../suggestion.ts";
import { transportOf } from "./backends.ts";

/** Block by type of strategy; asked for and checked even where the strategy itself is refused. */
const BLOCKS = new Map([
  ["header_injection", "headerInjection"],
  ["token_exchange", "tokenExchange"],
  ["upstream_inject", "upstreamInject"],
  ["aws_sts", "awsSts"],
  ["obo", "obo"],
  ["xaa", "xaa"],
  ["oauth", "oauth"],
  ["client_credentials", "clientCredentials"],
]);

/** That each strategy has the fields it needs, once, and stands for a backend that can use it. */
export function checkOutgoingAuth(
  raw: RawObject,
  names: ReadonlySet<string>,
  env: Environment,
): readonly Finding[] {
  const auth = objectOf(raw["outgoingAuth"]);
  const backends = new Map(
    listOf(raw["backends"]).map((backend) => [objectOf(backend)["name"], objectOf(backend)]),
  );
  const named = Object.entries(objectOf(auth["backends"])).flatMap(([name, strategy]) => {
    const path: ConfigPath = ["outgoingAuth", "backends", name];
    return [
      ...checkName(name, path, names),
      ...checkStrategy(objectOf(strategy), path, env),
      ...checkBackend(objectOf(strategy), path, backends.get(name)),
    ];
  });
  return [...checkStrategy(objectOf(auth["default"]), ["outgoingAuth", "default"], env), ...named];
}

function checkName(name: string, path: ConfigPath, names: ReadonlySet<string>): readonly Finding[] {
  if (names.has(name)) return [];
  return [warning(path, "names no backend, so it has no effect", didYouMean(name, names))];
}

function checkStrategy(
  strategy: RawObject,
  path: ConfigPath,
  env: Environment,
): readonly Finding[] {
  const type = textOf(strategy["type"]);
  const findings = checkForeignBlocks(strategy, path, type);
  if (type === "header_injection")
    return [...findings, ...checkHeaderInjection(strategy, path, env)];
  const block = BLOCKS.get(type ?? "");
  if (block === undefined || strategy[block] !== undefined) return findings;
  return [...findings, problem([...path, block], `is missing; type: ${type ?? ""} needs it`)];
}

function checkForeignBlocks(
  strategy: RawObject,
  path: ConfigPath,
  type: string | undefined,
): readonly Finding[] {
  if (type === undefined) return [];
  return [...BLOCKS].flatMap(([owner, block]) => {
    if (owner === type || strategy[block] === undefined) return [];
    return [problem([...path, block], `means nothing unless type is ${owner}`)];
  });
}

function checkHeaderInjection(
  strategy: RawObject,
  path: ConfigPath,
  env: Environment,
): readonly Finding[] {
  const block = strategy["headerInjection"];
  const fields = isRawObject(block) ? block : strategy;
  const at = block === undefined ? path : [...path, "headerInjection"];
  return [
    ...checkOneForm(strategy, path),
    ...(fields["headerName"] === undefined
      ? [problem([...at, "headerName"], "is missing; name the header to add")]
      : []),
    ...checkOneValue(fields, at, env),
  ];
}

function checkOneForm(strategy: RawObject, path: ConfigPath): readonly Finding[] {
  if (strategy["headerInjection"] === undefined) return [];
  return ["headerName", "headerValue", "headerValueEnv"]
    .filter((field) => strategy[field] !== undefined)
    .map((field) => problem([...path, field], "stands beside `headerInjection`; put it there"));
}

function checkOneValue(fields: RawObject, path: ConfigPath, env: Environment): readonly Finding[] {
  const variable = textOf(fields["headerValueEnv"]);
  if (fields["headerValue"] === undefined && fields["headerValueEnv"] === undefined) {
    return [problem([...path, "headerValue"], "is missing; give headerValue or headerValueEnv")];
  }
  if (variable === undefined) return [];
  const at = [...path, "headerValueEnv"];
  if (fields["headerValue"] !== undefined) {
    return [problem(at, "stands beside headerValue; keep one of the two")];
  }
  if (lookUp(env, variable) !== undefined) return [];
  return [problem(at, `names the environment variable ${variable}, which is not set or empty`)];
}

function checkBackend(
  strategy: RawObject,
  path: ConfigPath,
  backend: RawObject | undefined,
): readonly Finding[] {
  if (backend === undefined || strategy["type"] !== "header_injection") return [];
  if (transportOf(backend) === "stdio") {
    return [problem(path, "is for a stdio backend, which has no headers; use its env instead")];
  }
  const name = textOf(objectOf(strategy["headerInjection"] ?? strategy)["headerName"]);
  const isSetTwice = Object.keys(objectOf(backend["headers"])).some(
    (header) => header.toLowerCase() === name?.toLowerCase(),
  );
  if (!isSetTwice) return [];
  return [
    problem(path, "sets a header that the backend's own `headers` set too; keep one of the two"),
  ];
}
