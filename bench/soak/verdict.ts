import { faultsOfError } from "../../test/support/error-rules.ts";
import { checkHistory, type Execution, type History } from "../../test/support/history.ts";
import type { Holdings } from "../../test/support/invariants.ts";
import type { LivesTally } from "./lives.ts";
import type { HeapContents } from "./heap-snapshot.ts";
import { heapSlope, type HealthTally, type Sample, type Slope } from "./watch.ts";

/** What a gateway holds that nobody uses. */
export interface RestHoldings extends Holdings {
  readonly contents: HeapContents;
}

/** Everything that a run has found out. */
export interface Findings {
  readonly ranMs: number;
  readonly struck: readonly string[];
  readonly history: History;
  readonly executions: readonly Execution[];
  readonly tally: LivesTally;
  readonly health: HealthTally;
  readonly samples: readonly Sample[];
  readonly warm: RestHoldings;
  readonly atRest: RestHoldings;
  /** What the gateway held at the end beyond what it held when it was warm. */
  readonly left: readonly string[];
  /** Sessions that backends held when everybody had left: of the sound time at the end, and of the time before. */
  readonly openSessions: { readonly sound: number; readonly orphans: number };
  readonly exitCode: number | null;
  readonly stderr: string;
}

const MAX_SLOPE_MB_PER_HOUR = 1;
const MAX_LOOP_DELAY_P99_MS = 100;
/** A gateway that had no CPU for more than this share of the time is not to blame for being late. */
const MAX_STOLEN_SHARE = 0.3;
/** Wrong errors tell the same thing again and again. */
const MAX_EXAMPLES = 20;

/** One line about the minute that has passed. */
export function printMinute(run: {
  readonly minutes: number;
  readonly sample: Sample;
  readonly tally: LivesTally;
  readonly health: HealthTally;
  readonly history: History;
}): void {
  const { minutes, sample, tally, health, history } = run;
  const cells = [
    `min ${minutes}`,
    `sessions ${tally.begun} (${tally.living} now, ${tally.refused} refused)`,
    `calls ${tally.calls}: ${history.count("ok")} ok, ${history.count("fail")} failed, ${history.count("unknown")} unknown`,
    `heap ${mb(sample.heapBytes)} (code ${mb(sample.codeBytes)}) rss ${mb(sample.rssBytes)} MB`,
    `fds ${sample.descriptors} children ${sample.children} zombies ${sample.zombies}`,
    `loop p99 ${sample.loopDelayP99Ms.toFixed(0)} ms, without CPU ${(sample.stolenShare * 100).toFixed(1)} %`,
    `late ${tally.late.length}, health bad ${health.bad.length}`,
  ];
  console.log(`${new Date().toISOString().slice(11, 19)} ${cells.join(" | ")}`);
}

/** What is broken, each with the number of its invariant. Empty for a sound run. */
export function brokenInvariants(findings: Findings): readonly string[] {
  return judgements(findings).flatMap(({ id, broken }) => broken.map((what) => `[${id}] ${what}`));
}

/** The table of all invariants, and what broke them. */
export function printVerdict(findings: Findings): void {
  const { ranMs, struck, history, executions, tally, warm, atRest } = findings;
  console.log(`\n| invariant | figure | |\n|---|---|---|`);
  for (const { id, figure, broken } of judgements(findings))
    console.log(`| ${id} | ${figure} | ${broken.length === 0 ? "holds" : "BROKEN"} |`);
  const kinds = new Map<string, number>();
  for (const name of struck) kinds.set(name, (kinds.get(name) ?? 0) + 1);
  console.log(
    `\n${(ranMs / 60_000).toFixed(1)} minutes; ${tally.begun} sessions (${tally.refused} refused or cut), ` +
      `${tally.calls} calls: ${history.count("ok")} answered, ${history.count("fail")} failed, ` +
      `${history.count("unknown")} unknown; ${executions.length} executions; ${struck.length} faults of ${kinds.size} kinds`,
  );
  console.log([...kinds].map(([name, count]) => `  ${count} × ${name}`).join("\n"));
  console.log(`at rest before: ${JSON.stringify(warm)}\nat rest after:  ${JSON.stringify(atRest)}`);
  const broken = brokenInvariants(findings);
  console.log(broken.length === 0 ? "\nPASS" : `\nFAIL\n${broken.join("\n")}`);
}

interface Judgement {
  readonly id: string;
  readonly figure: string;
  readonly broken: readonly string[];
}

function judgements(findings: Findings): readonly Judgement[] {
  const { history, executions, tally, health, left, openSessions, atRest, warm } = findings;
  const violations = checkHistory(history.events, executions);
  const { samples, exitCode, stderr } = findings;
  const ofRest = (id: string): readonly string[] =>
    left.filter((each) => each.startsWith(`[${id}]`));
  const zombies = Math.max(0, ...samples.map((sample) => sample.zombies));
  return [
    {
      id: "I1–I3",
      figure: `${tally.calls} calls, ${executions.length} executions, every answer checked`,
      broken: violations,
    },
    {
      id: "I4",
      figure: `${atRest.descriptors} descriptors (${warm.descriptors} before), ${openSessions.sound} backend sessions; ${openSessions.orphans} that were opened while things broke; ${maxOf(samples, "descriptors")} descriptors at most`,
      broken: [
        ...ofRest("I4"),
        ...(openSessions.sound > 0 ? [`${openSessions.sound} backend sessions are open`] : []),
      ],
    },
    {
      id: "I5",
      figure: `${atRest.children} children; ${maxOf(samples, "children")} at most, ${zombies} zombies at most when sampled`,
      broken: ofRest("I5"),
    },
    {
      id: "I6",
      figure: `${atRest.handles} handles (${warm.handles} before)`,
      broken: ofRest("I6"),
    },
    { id: "I7", figure: `${atRest.sessions} sessions`, broken: ofRest("I7") },
    judgeHeap(findings),
    judgeLoop(findings),
    {
      id: "I10 health",
      figure: `${health.asked} times asked, slowest ${health.slowestMs.toFixed(0)} ms`,
      broken: health.bad.slice(0, MAX_EXAMPLES),
    },
    {
      id: "I10 alive",
      figure: `exit code ${exitCode} on SIGTERM`,
      broken: [...(exitCode === 0 ? [] : [`exit code ${exitCode}`]), ...complaintsIn(stderr)],
    },
    {
      id: "I11",
      figure: `slowest answer ${tally.slowestMs.toFixed(0)} ms`,
      broken: tally.late.slice(0, MAX_EXAMPLES),
    },
    judgeErrors(findings),
  ];
}

/** Lines of Node itself, which no log of ours explains. */
function complaintsIn(stderr: string): readonly string[] {
  const complaints = stderr.split("\n").filter((line) => COMPLAINT.test(line));
  return complaints.slice(0, MAX_EXAMPLES).map((line) => `standard error: ${line}`);
}

const COMPLAINT = /^\(node:\d+\)|unhandled|uncaught|internal error/i;

/** Judged by what is kept: code that V8 compiles in that hour is told beside it. */
function judgeHeap({ ranMs, samples, left, warm, atRest }: Findings): Judgement {
  const slope = heapSlope(samples);
  const whole = heapSlope(samples, ({ heapBytes }) => heapBytes);
  const [before, after] = [warm.contents, atRest.contents];
  const kept = (after.dataBytes - before.dataBytes) / 2 ** 20 / (ranMs / 3_600_000);
  const growth =
    `at rest ${mb(warm.heapBytes)} → ${mb(atRest.heapBytes)} MB, of which V8's code and what it knows of it ` +
    `${mb(before.codeBytes)} → ${mb(after.codeBytes)}, all else ${mb(before.dataBytes)} → ${mb(after.dataBytes)} (${kept.toFixed(2)} MB/h)`;
  const isGrowing =
    slope !== undefined && slope.mbPerHour - slope.plusMinus > MAX_SLOPE_MB_PER_HOUR;
  return {
    id: "I8",
    figure:
      slope === undefined
        ? growth
        : `${inMbPerHour(slope)} without compiled code, ${inMbPerHour(whole)} with it, under load; ${growth}`,
    broken: [
      ...left.filter((each) => each.startsWith("[I8]")),
      ...(isGrowing ? ["the heap grows"] : []),
      ...(kept > MAX_SLOPE_MB_PER_HOUR ? ["more is kept at rest"] : []),
    ],
  };
}

function inMbPerHour(slope: Slope | undefined): string {
  return slope === undefined
    ? "unknown"
    : `${slope.mbPerHour.toFixed(2)} ± ${slope.plusMinus.toFixed(2)} MB/h`;
}

function judgeLoop({ samples }: Findings): Judgement {
  const fair = samples.filter(({ stolenShare }) => stolenShare <= MAX_STOLEN_SHARE);
  const bad = fair.filter(({ loopDelayP99Ms }) => loopDelayP99Ms > MAX_LOOP_DELAY_P99_MS);
  return {
    id: "I10 loop",
    figure: `p99 at most ${maxOf(fair, "loopDelayP99Ms").toFixed(0)} ms in the ${fair.length} of ${samples.length} samples in which it had a CPU`,
    broken: bad.map(
      ({ atMs, loopDelayP99Ms }) =>
        `p99 ${loopDelayP99Ms.toFixed(0)} ms at minute ${(atMs / 60_000).toFixed(1)}`,
    ),
  };
}

/** What a client was told when a call failed. */
function judgeErrors({ history }: Findings): Judgement {
  const errors = history.events.flatMap((event) => (event.kind === "fail" ? [event.message] : []));
  const broken = errors.flatMap((text) =>
    faultsOfError(toError(text)).map((fault) => `${fault}: ${text}`),
  );
  return {
    id: "I14",
    figure: `${errors.length} errors, ${new Set(errors).size} different`,
    broken: [...new Set(broken)].slice(0, MAX_EXAMPLES),
  };
}

/** Clients by hand keep the error itself, the SDK's only its message. */
function toError(text: string): unknown {
  return text.startsWith("{") ? JSON.parse(text) : { message: text };
}

function maxOf(samples: readonly Sample[], field: keyof Sample): number {
  return Math.max(0, ...samples.map((sample) => sample[field]));
}

function mb(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1);
}
