import { isJsonObject, type JsonObject, type JsonValue } from "../domain/json.ts";

/** Where identity providers put the groups of a subject, in the order in which they are looked for. */
const USUAL_CLAIMS = ["groups", "roles", "cognito:groups"] as const;

export interface GroupClaims {
  /** Looked at before the usual ones. */
  readonly groupClaimName: string | undefined;
  readonly roleClaimName: string | undefined;
}

/**
 * The groups and roles that the claims name, each once. Only lists count, and in them only texts; an empty list is an
 * answer too, after which no other claim is looked at for groups.
 */
export function groupsOf(
  claims: JsonObject,
  { groupClaimName, roleClaimName }: GroupClaims,
): readonly string[] {
  const candidates =
    groupClaimName === undefined ? USUAL_CLAIMS : [groupClaimName, ...USUAL_CLAIMS];
  const groups = firstOf(candidates.map((name) => namesIn(claims, name)));
  const roles = roleClaimName === undefined ? [] : namesIn(claims, roleClaimName);
  return [...new Set([...(groups ?? []), ...(roles ?? [])])];
}

function firstOf<T>(values: readonly (T | undefined)[]): T | undefined {
  return values.find((value) => value !== undefined);
}

function namesIn(claims: JsonObject, claimName: string): readonly string[] | undefined {
  const value = claimOf(claims, claimName);
  return Array.isArray(value)
    ? value.filter((name: JsonValue) => typeof name === "string")
    : undefined;
}

/** A name with dots is a claim of that very name, or else the path to one inside others. */
function claimOf(claims: JsonObject, name: string): JsonValue | undefined {
  if (Object.hasOwn(claims, name)) return claims[name];
  let value: JsonValue | undefined = claims;
  for (const segment of name.split(".")) {
    value = isJsonObject(value) && Object.hasOwn(value, segment) ? value[segment] : undefined;
  }
  return value;
}
