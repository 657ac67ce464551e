import { scanMembers, spliceBytes, type Edit, type Member } from "./json-spans.ts";

/**
 * Adds one member to the `_meta` of an answer's result, all other bytes untouched. An answer without a
 * result object is returned as it is; a member of that name gives way, and so does a `_meta` that is no object.
 */
export function withResultMeta(answer: Buffer, key: string, valueJson: string): Buffer {
  const result = memberOf(answer, answer.indexOf(OPENING_BRACE), "result");
  if (result === undefined || !isObject(answer, result)) return answer;
  const entry = `${JSON.stringify(key)}:${valueJson}`;
  const meta = memberOf(answer, result.valueStart, "_meta");
  if (meta === undefined) {
    return spliceBytes(answer, [insertion(answer, result.valueStart, `"_meta":{${entry}}`)]);
  }
  if (!isObject(answer, meta)) return spliceBytes(answer, [replacement(meta, `{${entry}}`)]);
  const old = memberOf(answer, meta.valueStart, key);
  const edit = old ? replacement(old, valueJson) : insertion(answer, meta.valueStart, entry);
  return spliceBytes(answer, [edit]);
}

/** Of members with the same key the last one, because that is what a JSON parser keeps. */
function memberOf(bytes: Buffer, objectStart: number, key: string): Member | undefined {
  return scanMembers(bytes, objectStart).findLast((member) => member.key === key);
}

function isObject(bytes: Buffer, { valueStart }: Member): boolean {
  return bytes[valueStart] === OPENING_BRACE;
}

function insertion(bytes: Buffer, objectStart: number, entry: string): Edit {
  const isEmpty = scanMembers(bytes, objectStart).length === 0;
  const at = objectStart + 1;
  return { start: at, end: at, replacement: isEmpty ? entry : `${entry},` };
}

function replacement({ valueStart, valueEnd }: Member, text: string): Edit {
  return { start: valueStart, end: valueEnd, replacement: text };
}

const OPENING_BRACE = 0x7b;
