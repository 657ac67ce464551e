import type { z } from "zod";
import type { ConfigPath, Finding } from "../problems.ts";
import { problem, warning } from "../problems.ts";
import { isRawObject } from "../raw-values.ts";
import { configSchema } from "./config-schema.ts";
import { childType, supportOf } from "./schema-type.ts";

/**
 * Finds what a configuration asks for and this version does not do: problems for what would change
 * behaviour or security, one warning for each thing (with all below it) that merely has no effect.
 */
export function findUnsupported(raw: unknown): readonly Finding[] {
  return visit(raw, configSchema, [], false);
}

function visit(
  value: unknown,
  type: z.core.$ZodType,
  path: ConfigPath,
  isIgnored: boolean,
): readonly Finding[] {
  const { support, refusedValues } = supportOf(type);
  if (support === "refused") {
    return [problem(path, "is not available in this version; remove it to start without it")];
  }
  const isRefused = refusedValues?.some((refused) => refused === value) === true;
  if (isRefused) return [problem(path, `${String(value)} is not available in this version`)];
  const below = children(value).flatMap(([segment, child]) => {
    const typeOfChild = childType(type, segment);
    if (typeOfChild === undefined) return [];
    return visit(child, typeOfChild, [...path, segment], isIgnored || support === "ignored");
  });
  if (isIgnored || support !== "ignored") return below;
  return [warning(path, "has no effect in this version"), ...below];
}

function children(value: unknown): readonly (readonly [string | number, unknown])[] {
  if (Array.isArray(value)) return value.map((item: unknown, index) => [index, item] as const);
  return isRawObject(value) ? Object.entries(value) : [];
}
