import type { ConfigPath, Finding } from "../problems.ts";
import { problem } from "../problems.ts";
import type { RawObject } from "../raw-values.ts";
import { listOf, objectOf, textOf } from "../raw-values.ts";

/** That steps do not wait for each other in a circle, and that no tool runs itself. */
export function checkCompositeTools(raw: RawObject): readonly Finding[] {
  const tools = listOf(raw["compositeTools"]).map((tool) => objectOf(tool));
  const names = new Set(tools.map((tool) => textOf(tool["name"])));
  return tools.flatMap((tool, index) => {
    const path: ConfigPath = ["compositeTools", index, "steps"];
    const steps = listOf(tool["steps"]).map((step) => objectOf(step));
    return [...checkOrder(steps, path), ...checkRecursion(steps, path, names)];
  });
}

function checkOrder(steps: readonly RawObject[], path: ConfigPath): readonly Finding[] {
  const waiting = new Map<string, readonly string[]>();
  for (const step of steps) {
    const id = textOf(step["id"]);
    if (id !== undefined && waiting.has(id)) return [problem(path, `has two steps "${id}"`)];
    if (id !== undefined)
      waiting.set(
        id,
        listOf(step["dependsOn"]).flatMap((other) => textOf(other) ?? []),
      );
  }
  const unknown = [...waiting.values()].flat().find((id) => !waiting.has(id));
  if (unknown !== undefined) {
    return [problem(path, `has a step that depends on "${unknown}", which is no step`)];
  }
  return hasCircle(waiting) ? [problem(path, "has steps that wait for each other")] : [];
}

/** Takes away whatever waits for nothing more; what is left over waits in a circle. */
function hasCircle(waiting: Map<string, readonly string[]>): boolean {
  for (;;) {
    const free = [...waiting].filter(([, ids]) => ids.every((id) => !waiting.has(id)));
    if (free.length === 0) return waiting.size > 0;
    for (const [id] of free) waiting.delete(id);
  }
}

function checkRecursion(
  steps: readonly RawObject[],
  path: ConfigPath,
  names: ReadonlySet<string | undefined>,
): readonly Finding[] {
  const message = "is a composite tool; steps can only call tools of backends";
  return steps.flatMap((step, index) => {
    const inner = objectOf(step["step"]);
    return [
      ...(names.has(textOf(step["tool"]) ?? "")
        ? [problem([...path, index, "tool"], message)]
        : []),
      ...(names.has(textOf(inner["tool"]) ?? "")
        ? [problem([...path, index, "step", "tool"], message)]
        : []),
    ];
  });
}
