import { randomUUID } from "node:crypto";
import { openDescriptors, waitFor } from "../support/quiescence.ts";
import { Client } from "./client.ts";
import { compareAnswer, type Differences, differ, listOf } from "./compare.ts";
import { compareEnding, endingOf, runConfigEntry } from "./config-entries.ts";
import type { Entry, Expected } from "./entry.ts";
import { brokenInvariants, type Deed, executedSince, survivorsOf } from "./invariants.ts";
import { proofOf, tellsApart } from "./identities.ts";
import { Performance } from "./perform.ts";
import {
  figuresOf,
  forgetPeak,
  peakResidentBytes,
  type ProcessFigures,
} from "./process-figures.ts";
import { LIMITS_MS, type Rig, startRig } from "./rig.ts";
import { rawAt } from "../support/raw-json.ts";
import { StdioRig } from "./stdio-backend.ts";

const MEBIBYTE = 1024 * 1024;

/** What the gateway reads besides the request: its own wake-ups, and the answers of backends. */
const OTHER_READ_BYTES = 512 * 1024;

const CANCEL_TIMEOUT_MS = 5_000;

/** How much longer than an entry says an answer may take on a shared machine. */
const PATIENCE_MS = 3_000;

/** The gateway of all entries that ask for nothing of their own. Starts with the first of them. */
export class SharedRig implements AsyncDisposable {
  readonly #hasIdentities: boolean;
  #rig: Rig | undefined;

  constructor({ hasIdentities = false }: { readonly hasIdentities?: boolean } = {}) {
    this.#hasIdentities = hasIdentities;
  }

  /** Runs one entry and returns what was other than it says. Rejects where it could not be run. */
  async run(entry: Entry): Promise<Differences> {
    this.#rig ??= await startRig(undefined, this.#hasIdentities);
    let isAsExpected = false;
    try {
      const differences = await runOn(this.#rig, entry);
      isAsExpected = differences.length === 0;
      return differences;
    } finally {
      // What went wrong once must not be held against the entries after it.
      if (!isAsExpected) await this[Symbol.asyncDispose]();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const rig = this.#rig;
    this.#rig = undefined;
    await rig?.[Symbol.asyncDispose]();
  }
}

/** A backend that misbehaves, a configuration of its own, and what a gateway may not survive unchanged. */
export function needsOwnGateway({ backendBehaviour, config, request }: Entry): boolean {
  if (backendBehaviour !== undefined || config !== undefined) return true;
  if (request?.kind === "signal") return true;
  return (
    request?.kind === "sequence" &&
    request.steps.some((step) => step.reload !== undefined || step.repeat !== undefined)
  );
}

/** Runs an entry with processes of its own and returns what was other than it says. */
export async function runAlone(entry: Entry): Promise<Differences> {
  return isConfigurationOnly(entry) ? runConfigEntry(entry) : runOnOwnRig(entry);
}

function isConfigurationOnly({ config }: Entry): boolean {
  return config !== undefined && !("compositeTool" in config);
}

async function runOnOwnRig(entry: Entry): Promise<Differences> {
  const startedAt = performance.now();
  let rig: Rig;
  try {
    rig = await startRig(entry, tellsApart(entry));
  } catch (error) {
    if (entry.expected.exit === undefined) throw error;
    const ending = endingOf(error, performance.now() - startedAt);
    return compareEnding("serve", ending, entry.expected, "vmcp.yaml");
  }
  try {
    if (entry.request?.kind === "signal") return await runSignal(rig, entry, entry.request.signal);
    return await runOn(rig, entry);
  } finally {
    await rig[Symbol.asyncDispose]();
  }
}

/** Ends the gateway while a session is open. */
async function runSignal(
  rig: Rig,
  { expected }: Entry,
  signal: NodeJS.Signals,
): Promise<Differences> {
  await using client = new Client(rig.gateway.origin, rig.hasIdentities ? proofOf : undefined);
  await client.openSession();
  const { code, stderr } = await rig.gateway.stop(signal);
  const allowed = expected.exit === undefined ? [0] : listOf(expected.exit);
  const ended = allowed.some((wanted) => wanted === code)
    ? []
    : [differ("exit", `${code} ${stderr.slice(-200)}`, expected.exit)];
  return [...ended, ...(await survivorsOf(rig))];
}

async function runOn(rig: Rig, entry: Entry): Promise<Differences> {
  const { expected } = entry;
  const nonce = `nonce-${randomUUID()}`;
  const { pid } = rig.gateway;
  await using client = new Client(rig.gateway.origin, rig.hasIdentities ? proofOf : undefined);
  const performed = new Performance(rig, client, nonce);
  const descriptorsBefore = openDescriptors(pid);
  const bystander = expected.invariants?.includes("I3")
    ? await client.openStream(await client.openSession())
    : undefined;
  await performed.prepare(entry);
  for (const backend of rig.backends) {
    // oxlint-disable-next-line no-await-in-loop
    if (entry.backendBehaviour?.on === "tools/call") await backend.arm();
  }
  const executedBefore = rig.backends.map((backend) => backend.executions().length);
  const cancelledBefore = cancellationsOf(rig);
  const figures = figuresOf(pid);
  forgetPeak(pid);

  const outcome = await performed.perform(entry);

  const deed: Deed = {
    rig,
    client,
    performance: performed,
    outcome,
    nonce,
    executedBefore,
    bystander,
    descriptorsBefore,
  };
  return [
    ...(outcome === undefined ? [] : await compareAnswer(outcome, expected)),
    ...compareTime(outcome?.ms, expected),
    ...compareFigures(pid, figures, expected),
    ...(await compareBackends(deed, expected, cancelledBefore)),
    ...compareLife(rig, expected),
    ...(await brokenInvariants(deed, expected.invariants ?? [])),
  ];
}

function compareTime(ms: number | undefined, { maxMs }: Expected): Differences {
  if (ms === undefined || maxMs === undefined) return [];
  const limit = typeof maxMs === "number" ? maxMs : namedLimit(maxMs);
  return ms <= limit + PATIENCE_MS ? [] : [differ("ms", String(Math.round(ms)), maxMs)];
}

/** `callTimeout+500` and the like. */
function namedLimit(text: string): number {
  const [name = "", more] = text.split("+");
  const limit = LIMITS_MS.get(name);
  if (limit === undefined) throw new TypeError(`the limit "${name}" is not known`);
  return limit + Number(more);
}

function compareFigures(
  pid: number,
  before: ProcessFigures,
  { maxBytesRead, maxRssDeltaMb }: Expected,
): Differences {
  const read = (figuresOf(pid).readBytes ?? 0) - (before.readBytes ?? 0);
  const grown = ((peakResidentBytes(pid) ?? 0) - (before.residentBytes ?? 0)) / MEBIBYTE;
  return [
    ...(maxBytesRead === undefined || read <= maxBytesRead + OTHER_READ_BYTES
      ? []
      : [differ("bytes read", String(read), maxBytesRead)]),
    ...(maxRssDeltaMb === undefined || grown <= maxRssDeltaMb
      ? []
      : [differ("memory in MB", grown.toFixed(1), maxRssDeltaMb)]),
  ];
}

async function compareBackends(
  deed: Deed,
  { backendExecutions, backendCancelled, forwardedRaw }: Expected,
  cancelledBefore: number,
): Promise<Differences> {
  const executed = executedSince(deed).length;
  const most = /^<=(\d+)$/.exec(String(backendExecutions))?.[1];
  const isRight =
    backendExecutions === undefined ||
    (most === undefined ? executed === backendExecutions : executed <= Number(most));
  const isCancelled = backendCancelled !== true || (await isCancelledSince(deed, cancelledBefore));
  const { outcome, rig } = deed;
  const sent = rawAt(outcome?.sentText ?? "{}", ["params", "arguments"]) ?? "";
  const isRaw =
    forwardedRaw !== true || rig.backends.some((backend) => backend.received().includes(sent));
  return [
    ...(isRight ? [] : [differ("executions", String(executed), backendExecutions)]),
    ...(isCancelled ? [] : [differ("the backend's request", "not cancelled", "cancelled")]),
    ...(isRaw ? [] : [differ("the arguments at the backend", "other than sent", "as sent")]),
    ...rig.backends.flatMap((backend) =>
      backend instanceof StdioRig ? (backend.startsProblem() ?? []) : [],
    ),
  ];
}

async function isCancelledSince({ rig }: Deed, before: number): Promise<boolean> {
  try {
    return await waitFor(() => cancellationsOf(rig) > before, { timeoutMs: CANCEL_TIMEOUT_MS });
  } catch {
    return false;
  }
}

function cancellationsOf(rig: Rig): number {
  return rig.backends.reduce((sum, backend) => sum + backend.cancellations(), 0);
}

/** An entry that is about how the gateway ends, but got it to start. */
function compareLife(rig: Rig, { exit }: Expected): Differences {
  if (exit === undefined || listOf(exit).includes("running")) return [];
  return [differ("exit", `running as ${rig.gateway.pid}`, exit)];
}
