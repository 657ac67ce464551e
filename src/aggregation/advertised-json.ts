import type { JsonObject } from "../domain/json.ts";
import {
  type Edit,
  type Member,
  scanMembers,
  skipWhitespace,
  spliceBytes,
} from "../mcp/json-spans.ts";
import type { NamedCandidate } from "./candidate.ts";

/**
 * The JSON text that stands for a capability in a list: the backend's own text, changed only where the
 * advertised name or an override says otherwise. All other bytes, unknown fields included, stay as they are.
 */
export function toAdvertisedJson({ candidate, advertisedName }: NamedCandidate): string {
  const { capability, override } = candidate;
  const changes = new Map<string, string>();
  const shownName = advertisedName === capability.key ? override?.name : advertisedName;
  if (shownName !== undefined && shownName !== capability.value["name"]) {
    changes.set("name", JSON.stringify(shownName));
  }
  if (override?.description !== undefined) {
    changes.set("description", JSON.stringify(override.description));
  }
  const annotations = override?.annotations;
  if (changes.size === 0 && annotations === undefined) return capability.json;

  const bytes = Buffer.from(capability.json);
  const start = skipWhitespace(bytes, 0);
  const members = scanMembers(bytes, start);
  const edits = changeMembers(members, start, changes);
  if (annotations !== undefined) {
    edits.push(...changeAnnotations(bytes, members, start, annotations));
  }
  return spliceBytes(bytes, edits).toString();
}

/** Replaces the values of the given keys wherever they occur, and adds those that do not occur at the end. */
function changeMembers(
  members: readonly Member[],
  objectStart: number,
  changes: ReadonlyMap<string, string>,
): Edit[] {
  const missing = new Map(changes);
  const edits: Edit[] = [];
  for (const { key, valueStart, valueEnd } of members) {
    const replacement = changes.get(key);
    if (replacement === undefined) continue;
    missing.delete(key);
    edits.push({ start: valueStart, end: valueEnd, replacement });
  }
  if (missing.size > 0) {
    const last = members.at(-1);
    const at = last?.valueEnd ?? objectStart + 1;
    const added = [...missing].map(([key, text]) => `${JSON.stringify(key)}:${text}`).join(",");
    edits.push({ start: at, end: at, replacement: last === undefined ? added : `,${added}` });
  }
  return edits;
}

function changeAnnotations(
  bytes: Buffer,
  members: readonly Member[],
  objectStart: number,
  annotations: JsonObject,
): Edit[] {
  const own = members.filter(({ key }) => key === "annotations");
  const isMergeable = own.every(({ valueStart }) => bytes[valueStart] === OPEN_BRACE);
  if (own.length === 0 || !isMergeable) {
    const whole = new Map([["annotations", JSON.stringify(annotations)]]);
    return changeMembers(members, objectStart, whole);
  }
  const changes = new Map(
    Object.entries(annotations).map(([key, value]) => [key, JSON.stringify(value)]),
  );
  return own.flatMap(({ valueStart }) =>
    changeMembers(scanMembers(bytes, valueStart), valueStart, changes),
  );
}

const OPEN_BRACE = 0x7b;
