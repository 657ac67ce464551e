import { scanMembers, spliceBytes, type Member } from "./json-spans.ts";

/**
 * Adds one member to the `_meta` of an answer's result, all other bytes untouched. An answer without a
 * result object is returned as it is; a member of that name gives way.
 */
export function withResultMeta(answer: Buffer, key: string, valueJson: string): Buffer {
  const result = objectMember(answer, answer.indexOf(OPENING_BRACE), "result");
  if (result === undefined) return answer;
  const entry = `${JSON.stringify(key)}:${valueJson}`;
  const meta = objectMember(answer, result.valueStart, "_meta");
  if (meta === undefined) {
    return insertMember(answer, result.valueStart, `"_meta":{${entry}}`);
  }
  const old = scanMembers(answer, meta.valueStart).find((member) => member.key === key);
  if (old === undefined) return insertMember(answer, meta.valueStart, entry);
  const edit = { start: old.valueStart, end: old.valueEnd, replacement: valueJson };
  return spliceBytes(answer, [edit]);
}

function objectMember(bytes: Buffer, start: number, key: string): Member | undefined {
  const found = scanMembers(bytes, start).find((member) => member.key === key);
  return found !== undefined && bytes[found.valueStart] === OPENING_BRACE ? found : undefined;
}

function insertMember(bytes: Buffer, objectStart: number, entry: string): Buffer {
  const isEmpty = scanMembers(bytes, objectStart).length === 0;
  const at = objectStart + 1;
  return spliceBytes(bytes, [{ start: at, end: at, replacement: isEmpty ? entry : `${entry},` }]);
}

const OPENING_BRACE = 0x7b;
