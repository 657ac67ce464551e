import { z } from "zod";
import type { ConfigPath } from "../problems.ts";
import { configSchema } from "./config-schema.ts";
import type { SupportMeta } from "./fields.ts";

/** How far a type is supported: what it says of itself before what a type within it says. */
export function supportOf(type: z.core.$ZodType): SupportMeta {
  const inner = innerOf(type);
  const own = z.globalRegistry.get(type) as SupportMeta | undefined;
  return { ...(inner !== undefined && supportOf(inner)), ...own };
}

/**
 * The type of one key or item of a value that has this type, as it stands in a file; undefined where it has none. It is
 * what the JSON Schema says, without making one: that takes a tenth of the time in which the gateway starts.
 */
export function childType(
  type: z.core.$ZodType,
  segment: string | number,
): z.core.$ZodType | undefined {
  const def = defOf(type);
  if (def.type === "array") return typeof segment === "number" ? def.element : undefined;
  if (def.type === "record") return typeof segment === "string" ? def.valueType : undefined;
  if (def.type === "object")
    return Object.hasOwn(def.shape, segment) ? def.shape[segment] : undefined;
  const inner = innerOf(type);
  return inner === undefined ? undefined : childType(inner, segment);
}

/** The type of the value at a path; undefined where the path leaves the schema. */
export function typeAt(path: ConfigPath): z.core.$ZodType | undefined {
  return path.reduce<z.core.$ZodType | undefined>(
    (type, segment) => (type === undefined ? undefined : childType(type, segment)),
    configSchema,
  );
}

/** The keys that a type names; none for what is no object, or one of free keys. */
export function keysOf(type: z.core.$ZodType): readonly string[] {
  const def = defOf(type);
  if (def.type === "object") return Object.keys(def.shape);
  const inner = innerOf(type);
  return inner === undefined ? [] : keysOf(inner);
}

/** The type that another one wraps: that of the value as it stands in a file. */
function innerOf(type: z.core.$ZodType): z.core.$ZodType | undefined {
  const def = defOf(type);
  if ("innerType" in def) return def.innerType;
  if (def.type !== "pipe") return undefined;
  return defOf(def.in).type === "transform" ? def.out : def.in;
}

/** What a type is made of, by zod's own name for it. */
function defOf(type: z.core.$ZodType): z.core.$ZodTypes["_zod"]["def"] {
  // oxlint-disable-next-line no-underscore-dangle -- that name
  return (type as z.core.$ZodTypes)._zod.def;
}
