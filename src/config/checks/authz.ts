import { entitiesFault, isEntityType, readPolicy } from "../../lib/cedar.ts";
import type { ConfigPath, Finding } from "../problems.ts";
import { problem, warning } from "../problems.ts";
import type { RawObject } from "../raw-values.ts";
import { listOf, textOf } from "../raw-values.ts";

const PATH: ConfigPath = ["incomingAuth", "authz"];

/** Fields that only mean something to the policies of `type: cedar`. */
const CEDAR_FIELDS = [
  "policies",
  "entitiesJson",
  "groupClaimName",
  "roleClaimName",
  "groupEntityType",
] as const;

/** That there are policies where there should be, and that the policy engine can read all it is given. */
export function checkAuthz(authz: RawObject): readonly Finding[] {
  if (authz["type"] === "none") {
    return CEDAR_FIELDS.filter((field) => authz[field] !== undefined).map((field) =>
      warning([...PATH, field], "has no effect while type is none"),
    );
  }
  if (authz["type"] !== "cedar") return [];
  return [
    ...checkPolicies(authz["policies"]),
    ...checkEntities(textOf(authz["entitiesJson"])),
    ...checkGroupType(textOf(authz["groupEntityType"])),
  ];
}

function checkPolicies(given: unknown): readonly Finding[] {
  const path = [...PATH, "policies"];
  const policies = listOf(given);
  if (policies.length === 0) {
    return [problem(path, "must list at least one policy; without one nothing is allowed")];
  }
  return policies.flatMap((policy, index) => {
    if (typeof policy !== "string" || policy === "") return [];
    const read = readPolicy(policy);
    if (!("fault" in read)) return [];
    return [problem([...path, index], `is not a Cedar policy: ${read.fault}`)];
  });
}

function checkEntities(text: string | undefined): readonly Finding[] {
  if (text === undefined || text === "") return [];
  const path = [...PATH, "entitiesJson"];
  let entities: unknown;
  try {
    entities = JSON.parse(text);
  } catch {
    return [problem(path, "is not JSON")];
  }
  const fault = entitiesFault(entities);
  return fault === undefined
    ? []
    : [problem(path, `cannot be read as entities of Cedar: ${fault}`)];
}

function checkGroupType(name: string | undefined): readonly Finding[] {
  if (name === undefined || name === "") return [];
  const isPlain = !/[^A-Za-z0-9_]/.test(name) && isEntityType(name);
  if (isPlain) return [];
  const message = "is not the name of a Cedar type; write for example Team, without ::";
  return [problem([...PATH, "groupEntityType"], message)];
}
