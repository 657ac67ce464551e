import { isExposedHttp } from "../addresses.ts";
import type { ConfigPath, Finding } from "../problems.ts";
import { problem, warning } from "../problems.ts";
import type { RawObject } from "../raw-values.ts";
import { isRawObject, listOf, objectOf, textOf } from "../raw-values.ts";
import type { Environment } from "../references.ts";
import { lookUp } from "../references.ts";
import {
  BLOCK_OF_TYPE,
  REQUIRED_FIELDS,
  STRATEGY_FIELDS,
  type StrategyBlock,
} from "../schema/outgoing-strategies.ts";
import { didYouMean } from "../suggestion.ts";
import { checkStrategyUse, type StrategyUse } from "./outgoing-use.ts";

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
  const check = (strategy: unknown, path: ConfigPath, backend?: RawObject): readonly Finding[] => {
    const findings = checkStrategy(objectOf(strategy), path, env);
    const use: StrategyUse = { ...inFlatForm(objectOf(strategy), path), path, backend };
    return [...findings, ...checkStrategyUse(use, raw)];
  };
  const named = Object.entries(objectOf(auth["backends"])).flatMap(([name, strategy]) => {
    const path: ConfigPath = ["outgoingAuth", "backends", name];
    return [...checkName(name, path, names), ...check(strategy, path, backends.get(name))];
  });
  return [...check(auth["default"], ["outgoingAuth", "default"]), ...named];
}

/** A strategy in its flat form, whichever way it is written, and where its fields are. */
function inFlatForm(
  strategy: RawObject,
  path: ConfigPath,
): Pick<StrategyUse, "strategy" | "fieldsPath"> {
  const name = BLOCK_OF_TYPE.get(textOf(strategy["type"]) ?? "");
  const block = name === undefined ? undefined : strategy[name];
  if (name === undefined || !isRawObject(block)) return { strategy, fieldsPath: path };
  return { strategy: { ...block, type: strategy["type"] }, fieldsPath: [...path, name] };
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
  const block = BLOCK_OF_TYPE.get(type ?? "");
  if (type === undefined) return findings;
  if (block === undefined) return [...findings, ...checkForeignFields(strategy, path, type, [])];
  const own = Object.keys(STRATEGY_FIELDS[block]);
  const inBlock = strategy[block];
  if (inBlock === undefined) {
    return [
      ...findings,
      ...checkForeignFields(strategy, path, type, own),
      ...checkFields(strategy, block, path, env),
    ];
  }
  return [
    ...findings,
    ...checkOneForm(strategy, block, path),
    ...(isRawObject(inBlock) ? checkFields(inBlock, block, [...path, block], env) : []),
  ];
}

function checkForeignBlocks(
  strategy: RawObject,
  path: ConfigPath,
  type: string | undefined,
): readonly Finding[] {
  if (type === undefined) return [];
  return [...BLOCK_OF_TYPE, ["obo", "obo"] as const].flatMap(([owner, block]) => {
    if (owner === type || strategy[block] === undefined) return [];
    return [problem([...path, block], `means nothing unless type is ${owner}`)];
  });
}

const FLAT_FIELDS: ReadonlySet<string> = new Set(
  Object.values(STRATEGY_FIELDS).flatMap((fields) => Object.keys(fields)),
);

function checkForeignFields(
  strategy: RawObject,
  path: ConfigPath,
  type: string,
  own: readonly string[],
): readonly Finding[] {
  return Object.keys(strategy)
    .filter((field) => FLAT_FIELDS.has(field) && !own.includes(field))
    .map((field) => problem([...path, field], `means nothing where type is ${type}`));
}

function checkOneForm(
  strategy: RawObject,
  block: StrategyBlock,
  path: ConfigPath,
): readonly Finding[] {
  return Object.keys(strategy)
    .filter((field) => FLAT_FIELDS.has(field))
    .map((field) => problem([...path, field], `stands beside \`${block}\`; put it there`));
}

function checkFields(
  fields: RawObject,
  block: StrategyBlock,
  path: ConfigPath,
  env: Environment,
): readonly Finding[] {
  const missing = REQUIRED_FIELDS[block]
    .filter((field) => fields[field] === undefined)
    .map((field) => problem([...path, field], MISSING.get(field) ?? "is missing"));
  return [
    ...missing,
    ...(block === "headerInjection" ? checkHeaderValue(fields, path, env) : []),
    ...(block === "awsSts" ? checkRoles(fields, path) : []),
    ...CLIENT_PREFIXES.flatMap((prefix) => checkClient(fields, prefix, path, env)),
    ...checkUrls(fields, path),
  ];
}

const MISSING = new Map([
  ["headerName", "is missing; name the header to add"],
  ["tokenUrl", "is missing; say where tokens are asked for"],
  ["clientId", "is missing; say which client the gateway is there"],
  ["providerName", "is missing; name the backend whose sign-in gives the token"],
  ["region", "is missing; name the region of AWS"],
  ["idpTokenUrl", "is missing; say where the users' provider gives tokens"],
  ["targetTokenUrl", "is missing; say where the backend's authorization server gives tokens"],
  ["targetAudience", "is missing; name the backend's authorization server"],
]);

function checkHeaderValue(
  fields: RawObject,
  path: ConfigPath,
  env: Environment,
): readonly Finding[] {
  if (fields["headerValue"] === undefined && fields["headerValueEnv"] === undefined) {
    return [problem([...path, "headerValue"], "is missing; give headerValue or headerValueEnv")];
  }
  return checkVariable(fields, "headerValue", path, env);
}

/** The beginnings of the names of a client's fields, where one strategy is a client in two places. */
const CLIENT_PREFIXES = ["client", "idpClient", "targetClient"] as const;

function checkClient(
  fields: RawObject,
  prefix: string,
  path: ConfigPath,
  env: Environment,
): readonly Finding[] {
  const [id, secret] = [`${prefix}Id`, `${prefix}Secret`];
  const found = checkVariable(fields, secret, path, env);
  const hasSecret = fields[secret] !== undefined || fields[`${secret}Env`] !== undefined;
  if (!hasSecret || fields[id] !== undefined) return found;
  return [...found, problem([...path, id], "is missing; a secret is of no use without it")];
}

/** A value that may also stand in a variable of the environment. */
function checkVariable(
  fields: RawObject,
  field: string,
  path: ConfigPath,
  env: Environment,
): readonly Finding[] {
  const variable = textOf(fields[`${field}Env`]);
  if (variable === undefined) return [];
  const at = [...path, `${field}Env`];
  if (fields[field] !== undefined) {
    return [problem(at, `stands beside ${field}; keep one of the two`)];
  }
  if (lookUp(env, variable) !== undefined) return [];
  return [problem(at, `names the environment variable ${variable}, which is not set or empty`)];
}

function checkRoles(fields: RawObject, path: ConfigPath): readonly Finding[] {
  const mappings = listOf(fields["roleMappings"]);
  if (mappings.length === 0 && fields["fallbackRoleArn"] === undefined) {
    const message = "is missing; give fallbackRoleArn, roleMappings or both";
    return [problem([...path, "fallbackRoleArn"], message)];
  }
  return mappings.flatMap((mapping, index) => {
    if (objectOf(mapping)["claim"] !== undefined) return [];
    return [problem([...path, "roleMappings", index, "claim"], "is missing; say who has the role")];
  });
}

const URL_FIELDS = ["tokenUrl", "idpTokenUrl", "targetTokenUrl", "stsUrl"] as const;

function checkUrls(fields: RawObject, path: ConfigPath): readonly Finding[] {
  return URL_FIELDS.filter((field) => isExposedHttp(textOf(fields[field]) ?? ""))
    .filter((field) => field !== "targetTokenUrl" || fields["insecureTargetTokenUrl"] !== true)
    .map((field) => {
      const message = "would send tokens readable over a public network; use https://";
      return problem([...path, field], message);
    });
}
