import type { Identity } from "../domain/identity.ts";
import type { JsonObject, JsonValue } from "../domain/json.ts";
import type { Context, EntityJson, TypeAndId } from "../lib/cedar.ts";
import { toAttributes } from "./cedar-value.ts";
import { groupsOf, type GroupClaims } from "./groups.ts";
import type { Mentions } from "./mentions.ts";

/** Who asks, as policies see it. */
export interface Principal {
  readonly uid: TypeAndId;
  readonly entity: EntityJson;
  /** The claims that policies ask for, by the names that they have there. */
  readonly claims: Context;
  /** Equal for identities that no policy can tell apart. */
  readonly key: string;
}

/** The id of clients that nobody vouched for. They have no claims, not even a subject. */
const ANONYMOUS_ID = "anonymous";

export interface PrincipalOptions extends GroupClaims {
  readonly groupEntityType: string;
  /** Nothing else of an identity is looked at. */
  readonly mentions: Mentions;
}

/** Only what was verified becomes a claim; who it is comes from the identity itself and never from a claim. */
export function toPrincipal(identity: Identity, options: PrincipalOptions): Principal {
  const { mentions, groupEntityType } = options;
  const given = claimsOf(identity);
  const uid = {
    type: "Client",
    id: identity.kind === "verified" ? identity.subject : ANONYMOUS_ID,
  };
  const prefixed = Object.entries(given).map(([name, value]) => [`claim_${name}`, value] as const);
  const asked = (name: string): boolean => mentions.attributes.has(name);
  const own = toAttributes([...prefixed, ...factsOf(identity)].filter(([name]) => asked(name)));
  const claims = toAttributes(prefixed.filter(([name]) => mentions.hasWholeContext || asked(name)));
  const parents = groupsOf(given, options).map((id) => ({ type: groupEntityType, id }));
  return {
    uid,
    entity: { uid, attrs: own, parents },
    claims,
    key: JSON.stringify([identity.kind, uid.id, own, claims, parents]),
  };
}

function claimsOf(identity: Identity): JsonObject {
  if (identity.kind === "anonymous") return {};
  return { ...identity.claims, sub: identity.subject, iss: identity.issuer };
}

/** What is known of an identity whatever kind of proof it gave. */
function factsOf(identity: Identity): readonly (readonly [string, JsonValue])[] {
  if (identity.kind === "anonymous") return [];
  const { scopes, clientId } = identity;
  return [
    ...(scopes === undefined ? [] : ([["scopes", scopes]] as const)),
    ...(clientId === undefined ? [] : ([["clientId", clientId]] as const)),
  ];
}
