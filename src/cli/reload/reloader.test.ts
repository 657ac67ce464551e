import { describe, expect, test } from "vitest";
import type { ReloadReport } from "../../app/vmcp.ts";
import { resolveConfig } from "../../config/load-config.ts";
import { ConfigError } from "../../config/problems.ts";
import { VmcpError } from "../../domain/errors.ts";
import { SILENT_LOGGER } from "../../domain/logger.ts";
import { CliError } from "../cli-error.ts";
import type { UsedConfig } from "../config-source.ts";
import { EXIT } from "../exit-codes.ts";
import { Reloader } from "./reloader.ts";

const CONFIG = resolveConfig({
  backends: [{ name: "b", url: "http://127.0.0.1:1/mcp" }],
  operational: { sessionManagementV2: false },
});
const USED: UsedConfig = { config: CONFIG, origin: "vmcp.yaml", warnings: [], file: "/vmcp.yaml" };
const NOTHING: ReloadReport = {
  generation: 1,
  changes: [],
  sessions: 0,
  tools: { added: [], removed: [] },
};
const PORT: ReloadReport = {
  ...NOTHING,
  changes: [{ kind: "needs_restart", path: "server.port" }],
};

test("tells what changed, and what is served now", async () => {
  const { reloader, told, reports } = setUp();
  reports.push({ ...NOTHING, generation: 2, changes: [{ kind: "backend_added", backend: "b" }] });

  await reloader.reload({ isAsked: false });

  expect(told).toEqual([
    expect.objectContaining({
      generation: 2,
      changes: [{ kind: "backend_added", backend: "b" }],
      backends: [{ name: "b", transport: "streamable-http" }],
      notes: [expect.stringContaining("sessionManagementV2 is off")],
    }),
  ]);
});

test("says nothing where nothing changed, unless somebody asked", async () => {
  const { reloader, told } = setUp();

  await reloader.reload({ isAsked: false });
  const unasked = told.length;
  await reloader.reload({ isAsked: true });

  expect(unasked).toBe(0);
  expect(told).toHaveLength(1);
});

test("names what needs a restart once and not at every look", async () => {
  const { reloader, told, reports } = setUp();
  reports.push(PORT, PORT, { ...PORT, generation: 2 });

  await reloader.reload({ isAsked: false });
  await reloader.reload({ isAsked: false });
  const before = told.length;
  await reloader.reload({ isAsked: false });

  expect(before).toBe(1);
  expect(told).toHaveLength(2);
});

describe("a configuration that must not be used", () => {
  const problem = {
    file: "vmcp.yaml",
    line: 3,
    column: 5,
    path: "backends[0].url",
    message: "is wrong",
  };

  test.for<readonly [Error, readonly string[]]>([
    [new ConfigError([problem, problem]), Array(2).fill("vmcp.yaml:3:5 backends[0].url: is wrong")],
    [new VmcpError("invalid_config", "The file cannot be read"), ["The file cannot be read"]],
    [new TypeError("x is undefined"), ["A fault of vmcp itself: x is undefined"]],
  ])("is refused with its reasons: %s", async ([error, reasons]) => {
    const { reloader, told, failures } = setUp();
    failures.push(error);

    await reloader.reload({ isAsked: false });

    expect(told).toEqual([reasons]);
  });

  test("makes the next one news, even if it is the one in force", async () => {
    const { reloader, told, failures } = setUp();
    failures.push(new ConfigError([problem]));
    await reloader.reload({ isAsked: false });

    await reloader.reload({ isAsked: false });
    await reloader.reload({ isAsked: false });

    expect(told).toHaveLength(2);
    expect(told[1]).toMatchObject({ changes: [] });
  });

  test("is no news while the gateway stops", async () => {
    const { reloader, told, reloadFailures } = setUp();
    reloadFailures.push(new VmcpError("shutting_down", "The gateway is shutting down"));

    await reloader.reload({ isAsked: true });

    expect(told).toEqual([]);
  });
});

test.for<readonly [string, Error]>([
  ["invalid_config", new ConfigError([])],
  ["invalid_config", new CliError(EXIT.noInput, "The file is gone.")],
  ["internal", new TypeError("x is undefined")],
])("what cannot even be read is put on record as %s", async ([code, failure]) => {
  const { reloader, recorded, failures } = setUp();
  failures.push(failure);

  await reloader.reload({ isAsked: false });

  expect(recorded).toEqual([code]);
});

test("what the gateway itself refuses is put on record by it, and not once more", async () => {
  const { reloader, told, recorded, reloadFailures } = setUp();
  reloadFailures.push(new VmcpError("invalid_config", "The lock file does not exist"));

  await reloader.reload({ isAsked: false });

  expect(told).toEqual([["The lock file does not exist"]]);
  expect(recorded).toEqual([]);
});

/** What comes next fails with the first failure, else reports the first report, else that nothing changed. */
function setUp() {
  const told: unknown[] = [];
  const recorded: string[] = [];
  const failures: Error[] = [];
  const reloadFailures: Error[] = [];
  const reports: ReloadReport[] = [];
  const reloader = new Reloader({
    load: () => {
      const failure = failures.shift();
      if (failure !== undefined) throw failure;
      return USED;
    },
    vmcp: {
      reload: async () => {
        const failure = reloadFailures.shift();
        if (failure !== undefined) throw failure;
        return reports.shift() ?? NOTHING;
      },
      reloadRefused: (code) => void recorded.push(code),
    },
    view: {
      reloaded: (news) => void told.push(news),
      reloadRefused: (reasons) => void told.push(reasons),
    },
    logger: SILENT_LOGGER,
  });
  return { reloader, told, recorded, failures, reloadFailures, reports };
}
