import { isJsonObject, type JsonObject, type JsonValue } from "../domain/json.ts";
import { isSameValue } from "./canonical.ts";
import { shown, type Change } from "./change.ts";
import { compareSchemas, textChange, valueText } from "./compare-schemas.ts";
import type { Definition } from "./definition.ts";

/** Says how one definition of a tool, prompt or template differs from another; at least one thing where they do. */
export function compareDefinitions(before: Definition, after: Definition): readonly Change[] {
  if (isSameValue(before, after)) return [];
  if (typeof before === "string" || typeof after === "string") {
    return [{ path: "", effect: "changed", says: textChange(textOf(before), textOf(after)) }];
  }
  const members = [...new Set([...Object.keys(before), ...Object.keys(after)])].toSorted();
  const changes = members.flatMap((member) =>
    compareMember(member, own(before, member), own(after, member)),
  );
  return changes.length > 0 ? changes : [{ path: "", effect: "changed", says: WRITTEN_OTHERWISE }];
}

const WRITTEN_OTHERWISE = "is written in another way and means the same";

function compareMember(
  member: string,
  was: JsonValue | undefined,
  is: JsonValue | undefined,
): readonly Change[] {
  if (isSameValue(was, is)) return [];
  switch (member) {
    case "inputSchema":
    case "outputSchema":
      return compareSchemas(was, is, member);
    case "annotations":
      return compareAnnotations(was, is);
    case "arguments":
      return compareArguments(was, is);
    case "title":
    case "description":
      return [{ path: member, effect: "text", says: textChange(was, is) }];
    default:
      return [{ path: shown(member), effect: "changed", says: valueText(was, is) }];
  }
}

/** What a hint means where it is absent (MCP 2025-11-25, `ToolAnnotations`), and the value that promises less. */
const HINTS: ReadonlyMap<string, { readonly usually: boolean; readonly risky: boolean }> = new Map([
  ["readOnlyHint", { usually: false, risky: false }],
  ["destructiveHint", { usually: true, risky: true }],
  ["idempotentHint", { usually: false, risky: false }],
  ["openWorldHint", { usually: true, risky: true }],
]);

function compareAnnotations(
  was: JsonValue | undefined,
  is: JsonValue | undefined,
): readonly Change[] {
  const [old, now] = [objectOf(was), objectOf(is)];
  const names = [...new Set([...Object.keys(old), ...Object.keys(now)])].toSorted();
  return names.flatMap((name): readonly Change[] => {
    const [before, after] = [own(old, name), own(now, name)];
    if (isSameValue(before, after)) return [];
    const path = `annotations.${shown(name)}`;
    const hint = HINTS.get(name);
    if (hint === undefined) {
      return name === "title"
        ? [{ path, effect: "text", says: textChange(before, after) }]
        : [{ path, effect: "changed", says: valueText(before, after) }];
    }
    const [meant, means] = [before ?? hint.usually, after ?? hint.usually];
    const isRiskier = meant !== means && means === hint.risky;
    const says = `was ${hintText(before, hint.usually)} and is ${hintText(after, hint.usually)}`;
    return [{ path, effect: isRiskier ? "riskier" : "changed", says }];
  });
}

function hintText(value: JsonValue | undefined, usually: boolean): string {
  return value === undefined ? `absent (${String(usually)})` : shown(value);
}

/** Those of a prompt, by their names. */
function compareArguments(
  was: JsonValue | undefined,
  is: JsonValue | undefined,
): readonly Change[] {
  const [old, now] = [byName(was), byName(is)];
  const names = [...new Set([...old.keys(), ...now.keys()])].toSorted();
  return names.flatMap((name): readonly Change[] => {
    const path = `arguments.${shown(name)}`;
    const [before, after] = [old.get(name), now.get(name)];
    if (isSameValue(before, after)) return [];
    if (before === undefined) return [{ path, effect: "widened", says: "was added" }];
    if (after === undefined) return [{ path, effect: "narrowed", says: "was removed" }];
    return compareArgument(before, after, path);
  });
}

function compareArgument(before: JsonObject, after: JsonObject, path: string): readonly Change[] {
  const members = [...new Set([...Object.keys(before), ...Object.keys(after)])].toSorted();
  return members.flatMap((member): readonly Change[] => {
    const [was, is] = [own(before, member), own(after, member)];
    if (isSameValue(was, is)) return [];
    if (member === "required" && (was === true) !== (is === true)) {
      return is === true
        ? [{ path, effect: "narrowed", says: "became required" }]
        : [{ path, effect: "widened", says: "became optional" }];
    }
    const at = `${path}.${shown(member)}`;
    return member === "description" || member === "title"
      ? [{ path: at, effect: "text", says: textChange(was, is) }]
      : [{ path: at, effect: "changed", says: valueText(was, is) }];
  });
}

function byName(value: JsonValue | undefined): ReadonlyMap<string, JsonObject> {
  const list: readonly JsonValue[] = Array.isArray(value) ? value : [];
  return new Map(list.filter(isJsonObject).map((entry) => [shown(entry["name"]), entry] as const));
}

function objectOf(value: JsonValue | undefined): JsonObject {
  return isJsonObject(value) ? value : {};
}

function own(object: JsonObject, key: string): JsonValue | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function textOf(definition: Definition): string {
  return typeof definition === "string" ? definition : JSON.stringify(definition);
}
