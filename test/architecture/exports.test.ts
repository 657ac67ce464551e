import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import * as api from "../../src/index.ts";

const INDEX = readFileSync(join(import.meta.dirname, "../../src/index.ts"), "utf8");
const EXPORT = /^export (?<isType>type )?\{(?<names>[^}]*)\} from/gm;

test("the package offers these values", () => {
  const names = Object.keys(api).toSorted();

  expect(names).toEqual(["ANONYMOUS", "ConfigError", "VmcpError", "createVmcp", "loadConfig"]);
  expect(exported("values")).toEqual(names);
});

test("the package offers these types", () => {
  const names = exported("types");

  expect(names).toMatchInlineSnapshot(`
    [
      "AdvertisedCapability",
      "BackendHealth",
      "BackendName",
      "BackendStanding",
      "CallOptions",
      "CloseOptions",
      "ConfigProblem",
      "ContentBlock",
      "CreateVmcpOptions",
      "EdgeSession",
      "ExecutionState",
      "HealthState",
      "Identity",
      "JsonObject",
      "JsonValue",
      "LoadOptions",
      "LoadedConfig",
      "LogFields",
      "Logger",
      "MakeSessionOptions",
      "MultiSession",
      "MultiSessionFactory",
      "Overview",
      "OverviewEntry",
      "PlanChange",
      "PromptMessage",
      "PromptResult",
      "ReadResult",
      "ReloadReport",
      "ResourcePart",
      "SessionBackend",
      "SessionId",
      "SessionManager",
      "ToolCallResult",
      "ToolCaller",
      "Vmcp",
      "VmcpConfig",
      "VmcpConfigInput",
      "VmcpErrorCode",
      "VmcpOptions",
    ]
  `);
});

test("everything is exported by name", () => {
  const statements = INDEX.match(/^export\b/gm) ?? [];

  expect(statements).toHaveLength([...INDEX.matchAll(EXPORT)].length);
});

function exported(kind: "values" | "types"): readonly string[] {
  return [...INDEX.matchAll(EXPORT)]
    .filter((match) => (match.groups?.["isType"] !== undefined) === (kind === "types"))
    .flatMap((match) => (match.groups?.["names"] ?? "").split(","))
    .map((name) => name.trim())
    .filter((name) => name !== "")
    .toSorted();
}
