import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { messageOf } from "../../src/domain/errors.ts";
import { runVmcp, startVmcp } from "../support/vmcp-process.ts";
import { type Differences, differ, listOf } from "./compare.ts";
import type { Entry, Expected } from "./entry.ts";
import { expand } from "./generators.ts";

/** How much longer than an entry says a shared machine may take to start a process and to see it end. */
const START_PATIENCE_MS = 12_000;

/** How a command ended, or that it did not. */
export interface Ending {
  readonly code: number | null;
  readonly output: string;
  /** Whether it listened before it ended. */
  readonly hasListened: boolean;
  readonly ms: number;
}

/** A variable of the gateway's own environment that no output and no child may show. */
const SECRET = "CANARY-environment";

/** Starts `vmcp serve` and `vmcp validate` with the configuration of an entry and compares how they end. */
export async function runConfigEntry({ config, expected }: Entry): Promise<Differences> {
  const folder = mkdtempSync(join(tmpdir(), "vmcp-catalogue-"));
  try {
    const file = fileOf(config, folder);
    const served = await serve(file);
    const validated = await validate(file);
    return [
      ...compareEnding("serve", served, withoutPort(expected), file),
      ...compareEnding("validate", validated, { ...expected, listens: false }, file),
      ...secretsOf(config)
        .filter((secret) => (served.output + validated.output).includes(secret))
        .map(() => "I9: a secret of the configuration came out"),
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** How an attempt to start ended, from the error that it was rejected with. */
export function endingOf(error: unknown, ms: number): Ending {
  const message = messageOf(error);
  const code = /did not start \((\d+)\)/.exec(message)?.[1];
  return {
    code: code === undefined ? null : Number(code),
    output: message,
    hasListened: false,
    ms,
  };
}

/** Compares an ending with the members of `expected` that are about processes. */
export function compareEnding(
  command: string,
  { code, output, hasListened, ms }: Ending,
  expected: Expected,
  file: string,
): Differences {
  const { exit, errorPath, stderrHas = [], listens, maxMs } = expected;
  const isEnding = exit === undefined || listOf(exit).some((allowed) => allowed === code);
  const isLate = typeof maxMs === "number" && ms > maxMs + START_PATIENCE_MS;
  return [
    ...(isEnding ? [] : [differ(`${command}: exit`, `${code} ${firstLine(output)}`, exit)]),
    ...(errorPath === undefined ||
    output.includes(`${errorPath}:`) ||
    output.includes(`${errorPath} `)
      ? []
      : [differ(`${command}: path`, lines(output), errorPath)]),
    ...stderrHas
      .filter((what) => !says(output, what, file))
      .map((what) => differ(`${command}: output`, lines(output), what)),
    ...(listens === undefined || listens === hasListened
      ? []
      : [differ(`${command}: listens`, String(hasListened), listens)]),
    ...(isLate ? [differ(`${command}: ms`, String(Math.round(ms)), maxMs)] : []),
  ];
}

/** The command is started on a free port, which leaves nothing to be said of the one that the file names. */
function withoutPort({ errorPath, ...expected }: Expected): Expected {
  return errorPath === undefined || errorPath === "server.port"
    ? expected
    : { ...expected, errorPath };
}

/** `path` stands for the file's name and `line` for a place in it; anything else for itself. */
function says(output: string, what: string, file: string): boolean {
  if (what === "path") return output.includes(file);
  if (what === "line") return /:\d+:\d+\b/.test(output);
  return output.includes(what);
}

async function serve(file: string): Promise<Ending> {
  const startedAt = performance.now();
  try {
    const gateway = await startVmcp({
      args: [file],
      env: { VMCP_CATALOGUE_SECRET: SECRET, MISSING: undefined },
    });
    const { code, stdout, stderr } = await gateway.stop();
    const ms = performance.now() - startedAt;
    return { code, output: stdout + stderr, hasListened: true, ms };
  } catch (error) {
    return endingOf(error, performance.now() - startedAt);
  }
}

async function validate(file: string): Promise<Ending> {
  const startedAt = performance.now();
  const { code, stdout, stderr } = await runVmcp(["validate", file], {
    env: { VMCP_CATALOGUE_SECRET: SECRET, MISSING: undefined },
  });
  const ms = performance.now() - startedAt;
  return { code, output: stdout + stderr, hasListened: false, ms };
}

function fileOf(config: Entry["config"], folder: string): string {
  if (config === undefined) throw new TypeError("the entry has no configuration");
  if ("file" in config && typeof config.file === "string") return config.file;
  const text = expand("yaml" in config ? config.yaml : config);
  const file = join(folder, "vmcp.yaml");
  writeFileSync(file, String(text));
  return file;
}

/** What must not be read out of any output: passwords in addresses, and the environment. */
function secretsOf(config: Entry["config"]): readonly string[] {
  const passwords = JSON.stringify(config).matchAll(/\/\/[^/@\s:"]+:([^@\s"]+)@/g);
  return [SECRET, ...[...passwords].map(([, password]) => `:${password}@`)];
}

function firstLine(output: string): string {
  return output.split("\n").find((line) => line.trim() !== "") ?? "";
}

function lines(output: string): string {
  return output.split("\n").filter(Boolean).join(" | ");
}
