import { isJsonObject, type JsonObject, type JsonValue } from "../domain/json.ts";
import type { EntityJson, TypeAndId } from "../lib/cedar.ts";
import { noteEntities, toEntityKey } from "./mentions.ts";

/** One entity of an operator, and every entity that it leads to at once. */
interface Configured {
  readonly entity: EntityJson;
  readonly neighbours: ReadonlySet<string>;
}

/**
 * The entities that an operator describes: roles above groups, owners of tools. For each question only those are handed
 * out that it can come to, because each costs time.
 */
export class ConfiguredEntities {
  readonly #entities: ReadonlyMap<string, Configured>;

  /** Expects a list in Cedar's format that the engine accepts. */
  constructor(list: readonly JsonValue[]) {
    this.#entities = new Map(list.filter(isJsonObject).map((given) => readEntity(given)));
  }

  /** Every entity that is described or referred to, as `toEntityKey` has it. */
  get keys(): ReadonlySet<string> {
    const keys = new Set(this.#entities.keys());
    for (const { neighbours } of this.#entities.values()) {
      for (const key of neighbours) keys.add(key);
    }
    return keys;
  }

  /**
   * The entities of a question with what the operator says of them, and the operator's others that it can come to from
   * them or from `named`. Where both say something, the operator has the last word.
   */
  completed(own: readonly EntityJson[], named: Iterable<string>): readonly EntityJson[] {
    if (this.#entities.size === 0) return own;
    const reached = new Map<string, EntityJson>();
    const open = [...named];
    for (const entity of own) {
      const key = toEntityKey(uidOf(entity));
      const configured = this.#entities.get(key);
      const whole = configured === undefined ? entity : merged(entity, configured.entity);
      reached.set(key, whole);
      open.push(
        ...(configured?.neighbours ?? []),
        ...whole.parents.map((uid) => toEntityKey(plain(uid))),
      );
    }
    for (let key = open.pop(); key !== undefined; key = open.pop()) {
      const configured = this.#entities.get(key);
      if (configured === undefined || reached.has(key)) continue;
      reached.set(key, configured.entity);
      open.push(...configured.neighbours);
    }
    return [...reached.values()];
  }
}

function readEntity(given: JsonObject): readonly [string, Configured] {
  const { uid, ...rest } = given;
  const neighbours = new Set<string>();
  noteEntities(rest, neighbours);
  // The engine has accepted the list, so that each item has this shape.
  const entity = given as unknown as EntityJson;
  const own = new Set<string>();
  noteEntities(uid, own);
  const [key = ""] = own;
  return [key, { entity, neighbours }];
}

function merged(own: EntityJson, configured: EntityJson): EntityJson {
  return {
    ...configured,
    uid: own.uid,
    attrs: { ...own.attrs, ...configured.attrs },
    parents: [...own.parents, ...configured.parents],
  };
}

function uidOf({ uid }: EntityJson): TypeAndId {
  return plain(uid);
}

function plain(uid: EntityJson["uid"]): TypeAndId {
  if (!("__entity" in uid)) return uid;
  const { __entity: inner } = uid;
  return inner;
}
