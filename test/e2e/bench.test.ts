import { execFile } from "node:child_process";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const BENCH = join(dirname(fileURLToPath(import.meta.url)), "../../bench/load/run.mjs");
/** As little as can be: that it runs and checks is what counts here, not what it measures. */
const SMALLEST = ["--rounds", "2", "--seconds", "0.1", "--prewarm", "0.1"].concat([
  "--sessions",
  "2",
  "--count",
  "2",
  "--json",
]);
const TIMEOUT_MS = 120_000;

interface BenchRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface Figure {
  readonly what: string;
  readonly figure: string;
  readonly bound: string;
}

interface BenchResult {
  readonly name: string;
  readonly errors: number;
  readonly rows?: readonly { readonly name: string; readonly errors: number }[];
  readonly bounds: readonly Figure[];
}

describe("the bench", { timeout: TIMEOUT_MS }, () => {
  test("puts gateways side by side and gets only right answers", async () => {
    const { code, stdout, stderr } = await bench(["--load", "calls", ...SMALLEST]);

    expect(stderr).not.toContain("error");
    expect(code).toBe(0);
    const [calls] = resultsOf(stdout);
    expect(calls?.rows?.map(({ name }) => name)).toEqual([
      "pass-through",
      "vmcp",
      "vmcp, arguments checked",
      "SDK gateway",
    ]);
    expect(calls?.rows?.map(({ errors }) => errors)).toEqual([0, 0, 0, 0]);
  });

  test("checks progress, whole sessions and lists too", async () => {
    const loads = ["progress", "churn", "lists", "lists-plain"];

    const { stdout } = await bench(["--load", loads.join(","), "--only", "^vmcp$", ...SMALLEST]);

    const results = resultsOf(stdout);
    expect(results.map(({ name, errors }) => [name, errors])).toEqual(
      loads.map((name) => [name, 0]),
    );
    expect(results.filter(({ bounds }) => bounds.length === 0)).toEqual([]);
  });

  test("measures starts, workers, bursts, idle sessions and boots", async () => {
    const loads = ["start", "workers", "burst", "idle", "boot"];

    const { stdout } = await bench(["--load", loads.join(","), ...SMALLEST]);

    const results = resultsOf(stdout);
    expect(results.map(({ name, errors }) => [name, errors])).toEqual(
      loads.map((name) => [name, 0]),
    );
    const unmeasured = results.flatMap(({ bounds }) => bounds.filter(isUnmeasured));
    expect(process.platform === "linux" ? unmeasured : []).toEqual([]);
  });

  test("times every function of a call", async () => {
    const { stdout } = await bench(["--micro", ...SMALLEST]);

    // What the bench prints with --json.
    const { micro } = JSON.parse(stdout) as { micro: { rows: readonly { median: number }[] } };
    expect(micro.rows.length).toBeGreaterThan(10);
    expect(micro.rows.filter(({ median }) => !(median > 0))).toEqual([]);
  });

  test.for([
    [["--load", "nothing"], 'no load "nothing"'],
    [["--rounds", "0"], "--rounds 0"],
    [["--gateway", "http://127.0.0.1:1/mcp"], "NAME=URL"],
    [["--fast"], "--fast"],
    [["--compare", "no-such-revision"], "no-such-revision"],
  ] as const)("refuses %o with words", async ([args, words]) => {
    const { code, stderr } = await bench(args);

    expect(code).toBe(2);
    expect(stderr).toContain(words);
  });

  test("names all its loads in its help", async () => {
    const { code, stdout } = await bench(["--help"]);

    expect(code).toBe(0);
    for (const name of [
      "calls",
      "progress",
      "lists",
      "start",
      "workers",
      "burst",
      "idle",
      "boot",
    ]) {
      expect(stdout).toMatch(new RegExp(`^ {2}${name} `, "m"));
    }
  });
});

async function bench(args: readonly string[]): Promise<BenchRun> {
  return new Promise((resolve) => {
    const options = { timeout: TIMEOUT_MS, maxBuffer: 16 * 2 ** 20 };
    execFile(process.execPath, [BENCH, ...args], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : Number(error.code ?? -1);
      resolve({ code, stdout, stderr });
    });
  });
}

function resultsOf(stdout: string): readonly BenchResult[] {
  // What the bench prints with --json.
  return (JSON.parse(stdout) as { loads: readonly BenchResult[] }).loads;
}

function isUnmeasured({ figure }: Figure): boolean {
  return figure.includes("–") || figure.includes("NaN");
}
