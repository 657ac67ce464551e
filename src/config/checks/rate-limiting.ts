import type { Finding } from "../problems.ts";
import { problem } from "../problems.ts";
import type { RawObject } from "../raw-values.ts";
import { listOf, objectOf, textOf } from "../raw-values.ts";

const NEEDS_IDENTITY =
  "needs clients that are told apart; with incomingAuth.type anonymous use shared";

/** That limits per client have clients to tell apart, and that each tool has one entry. */
export function checkRateLimiting(raw: RawObject): readonly Finding[] {
  const limits = objectOf(raw["rateLimiting"]);
  const type = objectOf(raw["incomingAuth"])["type"] ?? "anonymous";
  const tools = listOf(limits["tools"]).map(objectOf);
  const perUser = [
    ...(limits["perUser"] === undefined ? [] : [["rateLimiting", "perUser"]]),
    ...tools.flatMap((tool, index) =>
      tool["perUser"] === undefined ? [] : [["rateLimiting", "tools", index, "perUser"]],
    ),
  ];
  return [
    ...(type === "anonymous" ? perUser.map((path) => problem(path, NEEDS_IDENTITY)) : []),
    ...tools.flatMap((tool, index) => checkTool(tool, tools.slice(0, index), index)),
  ];
}

function checkTool(
  tool: RawObject,
  before: readonly RawObject[],
  index: number,
): readonly Finding[] {
  const path = ["rateLimiting", "tools", index];
  const name = textOf(tool["name"]);
  if (name !== undefined && before.some((other) => other["name"] === name)) {
    return [problem([...path, "name"], "names a second entry for this tool; keep one of them")];
  }
  const isEmpty = tool["shared"] === undefined && tool["perUser"] === undefined;
  return isEmpty ? [problem(path, "limits nothing; give it shared, perUser or both")] : [];
}
