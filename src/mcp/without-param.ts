import { scanMembers, spliceBytes } from "./json-spans.ts";

/** The message without that member of its `params`, all other bytes untouched. */
export function withoutParam(message: Buffer, key: string): Buffer {
  const params = scanMembers(message, message.indexOf(OPENING_BRACE)).find(
    (member) => member.key === "params",
  );
  if (params === undefined || message[params.valueStart] !== OPENING_BRACE) return message;
  const members = scanMembers(message, params.valueStart);
  const index = members.findIndex((member) => member.key === key);
  const found = members[index];
  if (found === undefined) return message;
  // The comma goes with it: the one behind it, or the one before it if it is the last.
  const start = members[index + 1] === undefined ? members[index - 1]?.valueEnd : found.keyStart;
  const end = members[index + 1]?.keyStart ?? found.valueEnd;
  return spliceBytes(message, [{ start: start ?? found.keyStart, end, replacement: "" }]);
}

const OPENING_BRACE = 0x7b;
