import type { Finding } from "../problems.ts";
import { problem, warning } from "../problems.ts";
import type { RawObject } from "../raw-values.ts";
import { listOf, objectOf, textOf } from "../raw-values.ts";
import { didYouMean } from "../suggestion.ts";

const KINDS = ["tools", "resources", "prompts"] as const;

/**
 * That rules are for backends that exist. A rule for an unknown one is a problem, because a filter that
 * applies to nothing shows what it was meant to hide; an unknown name in an order or a timeout is harmless.
 */
export function checkAggregation(raw: RawObject, names: ReadonlySet<string>): readonly Finding[] {
  const aggregation = objectOf(raw["aggregation"]);
  return [
    ...KINDS.flatMap((kind) => checkWorkloads(aggregation, kind, names)),
    ...checkPriority(aggregation, names),
    ...checkPerWorkload(raw, names),
  ];
}

function checkWorkloads(
  aggregation: RawObject,
  kind: (typeof KINDS)[number],
  names: ReadonlySet<string>,
): readonly Finding[] {
  const seen = new Set<string>();
  return listOf(aggregation[kind]).flatMap((entry, index) => {
    const workload = textOf(objectOf(entry)["workload"]);
    if (workload === undefined) return [];
    const path = ["aggregation", kind, index, "workload"];
    if (seen.has(workload)) return [problem(path, "has an entry already; put both into one")];
    seen.add(workload);
    if (names.has(workload)) return [];
    return [problem(path, "names no backend", didYouMean(workload, names))];
  });
}

function checkPriority(aggregation: RawObject, names: ReadonlySet<string>): readonly Finding[] {
  const settings = objectOf(aggregation["conflictResolutionConfig"]);
  const path = ["aggregation", "conflictResolutionConfig", "priorityOrder"];
  const order = listOf(settings["priorityOrder"]);
  if (aggregation["conflictResolution"] !== "priority") return [];
  if (order.length === 0) return [problem(path, "must list the backends, best first")];
  return order.flatMap((name, index) => {
    if (typeof name !== "string" || names.has(name)) return [];
    return [warning([...path, index], "names no backend", didYouMean(name, names))];
  });
}

function checkPerWorkload(raw: RawObject, names: ReadonlySet<string>): readonly Finding[] {
  const timeouts = objectOf(objectOf(raw["operational"])["timeouts"]);
  return Object.keys(objectOf(timeouts["perWorkload"])).flatMap((name) => {
    if (names.has(name)) return [];
    const path = ["operational", "timeouts", "perWorkload", name];
    return [warning(path, "names no backend, so it has no effect", didYouMean(name, names))];
  });
}
