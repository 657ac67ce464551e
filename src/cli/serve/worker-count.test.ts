import { availableParallelism } from "node:os";
import { expect, test } from "vitest";
import { resolveConfig } from "../../config/load-config.ts";
import { Flags } from "../flags.ts";
import { countWorkers } from "./worker-count.ts";

const CORES = Math.min(64, availableParallelism());

function count(flag: string | undefined, workers?: number | "auto"): number {
  const config = resolveConfig({
    backends: [{ name: "b", url: "http://127.0.0.1:1/mcp" }],
    ...(workers !== undefined && { server: { workers } }),
  });
  return countWorkers(new Flags(new Map(flag === undefined ? [] : [["workers", flag]])), config);
}

test.for([
  [undefined, undefined, 1],
  [undefined, 3, 3],
  [undefined, "auto", CORES],
  ["2", 3, 2],
  ["1", 3, 1],
  ["64", undefined, 64],
  ["auto", 3, CORES],
] as const)("with --workers %s and server.workers %s there are %i", ([flag, field, expected]) => {
  expect(count(flag, field)).toBe(expected);
});

test.for(["0", "65", "2.5", "-1", "", "two", "1e1", " 2"])("--workers %j is refused", (flag) => {
  expect(() => count(flag)).toThrow("--workers must be a whole number from 1 to 64, or auto");
});
