import { scanMembers, type Edit, type Member } from "../../mcp/json-spans.ts";

/** The object whose `{` stands at `start`: what is to go of it, and what is to come first in it. */
export interface ObjectChange {
  readonly start: number;
  readonly isDropped: (key: string) => boolean;
  /** Members as JSON text, separated by commas, without braces; may be empty. */
  readonly insertedJson?: string;
}

/** The edits that make the change and leave every other byte of the object as it is. */
export function editsOf(bytes: Buffer, { start, isDropped, insertedJson }: ObjectChange): Edit[] {
  const members = scanMembers(bytes, start);
  const lastKept = members.findLastIndex(({ key }) => !isDropped(key));
  const edits = members.flatMap((member, index) =>
    isDropped(member.key) ? [dropping(members, member, index, lastKept)] : [],
  );
  if (insertedJson === undefined || insertedJson === "") return edits;
  const comma = lastKept === -1 ? "" : ",";
  return [...edits, { start: start + 1, end: start + 1, replacement: `${insertedJson}${comma}` }];
}

/** Of members with the same key the last one, because that is what a JSON parser keeps. */
export function lastMember(bytes: Buffer, start: number, key: string): Member | undefined {
  return scanMembers(bytes, start).findLast((member) => member.key === key);
}

export function isObjectAt(bytes: Buffer, at: number): boolean {
  return bytes[at] === OPEN_BRACE;
}

export function topOf(bytes: Buffer): number {
  return bytes.indexOf(OPEN_BRACE);
}

/** A comma goes with the member: the one behind it, or the one before it where nothing behind it is kept. */
function dropping(
  members: readonly Member[],
  { keyStart, valueEnd }: Member,
  index: number,
  lastKept: number,
): Edit {
  const next = members[index + 1];
  if (index < lastKept && next !== undefined) {
    return { start: keyStart, end: next.keyStart, replacement: "" };
  }
  return { start: members[index - 1]?.valueEnd ?? keyStart, end: valueEnd, replacement: "" };
}

const OPEN_BRACE = 0x7b;
