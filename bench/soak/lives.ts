import { type IncomingMessage, request } from "node:http";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import {
  openRawRunSession,
  openSdkRunSession,
  type OpenRunSession,
  type RunSession,
} from "../../test/support/fault-clients.ts";
import type { History } from "../../test/support/history.ts";
import { openRawSession } from "../../test/support/raw-client.ts";
import type { SeededRandom } from "../../test/support/seeded-random.ts";

export interface LivesOptions {
  readonly url: string;
  readonly history: History;
  /** Backends whose tools are called: their names are the tools' prefixes. */
  readonly backends: readonly string[];
  /** Sessions that begin in a second. */
  readonly churn: number;
  /** At once; more do not begin meanwhile. */
  readonly maxLives: number;
  /** By when a call must have an answer, in milliseconds. */
  readonly deadlineMs: number;
  /** How long processes had to wait for a CPU so far: nobody can answer then. */
  readonly stolenMs: () => number;
  readonly random: SeededRandom;
}

/** What clients met so far. */
export interface LivesTally {
  begun: number;
  living: number;
  /** Sessions that the gateway refused or that could not be reached. */
  refused: number;
  calls: number;
  slowestMs: number;
  /** Answers that came later than they may, or never. One sentence each. */
  readonly late: string[];
}

const PATIENCE_MS = 20_000;
const CANCEL_WITHIN_MS = 150;
const SLOW_READ_BYTES = 16_384;

/**
 * Begins sessions at a steady rate until the signal, each of which calls for a while and leaves, some by vanishing.
 * Resolves when the last one has left.
 */
export async function playLives(
  options: LivesOptions,
  tally: LivesTally,
  signal: AbortSignal,
): Promise<void> {
  const { churn, maxLives, random } = options;
  const lives = new Set<Promise<void>>();
  while (!signal.aborted) {
    if (lives.size < maxLives) {
      const life = playLife(options, tally, random.fork(), signal);
      lives.add(life);
      void life.finally(() => lives.delete(life));
    }
    // Sessions begin one after the other.
    // oxlint-disable-next-line no-await-in-loop
    await delay(1_000 / churn);
  }
  await Promise.all(lives);
}

async function playLife(
  options: LivesOptions,
  tally: LivesTally,
  random: SeededRandom,
  signal: AbortSignal,
): Promise<void> {
  tally.begun += 1;
  tally.living += 1;
  try {
    const kind = random.next();
    if (kind < 0.45) await playCaller(options, tally, random, signal, openRawRunSession);
    else if (kind < 0.8) await playCaller(options, tally, random, signal, openSdkRunSession);
    else if (kind < 0.9) await playSlowReader(options, random);
    else await playListener(options, random);
  } catch {
    tally.refused += 1;
  } finally {
    tally.living -= 1;
  }
}

async function playCaller(
  options: LivesOptions,
  tally: LivesTally,
  random: SeededRandom,
  signal: AbortSignal,
  open: OpenRunSession,
): Promise<void> {
  const { url, history } = options;
  const session = await open({ url, history, patienceMs: PATIENCE_MS });
  for (let calls = 3 + random.int(8); calls > 0 && !signal.aborted; calls -= 1) {
    const together = 1 + random.int(2);
    // A client does one thing after the other.
    // oxlint-disable no-await-in-loop
    await Promise.all(
      Array.from({ length: together }, async () => callInTime(options, tally, random, session)),
    );
    await delay(200 + random.int(1_500));
    // oxlint-enable no-await-in-loop
  }
  await session.end(random.chance(0.7) ? "delete" : "vanish");
}

async function callInTime(
  { history, backends, deadlineMs, stolenMs }: LivesOptions,
  tally: LivesTally,
  random: SeededRandom,
  session: RunSession,
): Promise<void> {
  const isSlow = random.chance(0.4);
  const backend = random.pick(backends);
  const call = {
    tool: `${backend}_nonce`,
    nonce: history.nextNonce(),
    args: isSlow ? { ms: 20 + random.int(250), steps: random.int(4) } : {},
    cancelAfterMs: random.chance(0.1) ? random.int(CANCEL_WITHIN_MS) : undefined,
  };
  tally.calls += 1;
  const startMs = performance.now();
  const stolenBefore = stolenMs();
  await session.call(call);
  // A call that the client has cancelled may stay without an answer.
  if (call.cancelAfterMs !== undefined) return;
  const tookMs = performance.now() - startMs;
  tally.slowestMs = Math.max(tally.slowestMs, tookMs);
  const ownMs = tookMs - (stolenMs() - stolenBefore);
  if (ownMs > deadlineMs) {
    const at = new Date().toISOString().slice(11, 19);
    tally.late.push(`${at} ${call.nonce} at ${backend}: ${Math.round(tookMs)} ms`);
  }
}

/** Asks for a lot, takes it slowly, and leaves in the middle. */
async function playSlowReader(options: LivesOptions, random: SeededRandom): Promise<void> {
  const { url, backends } = options;
  const session = await openRawSession(url);
  const call = {
    name: `${random.pick(backends)}_big`,
    arguments: { bytes: 1_000_000 + random.int(2_000_000) },
  };
  const outgoing = request(url, {
    agent: false,
    method: "POST",
    headers: {
      ...session.headers,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
    },
  });
  outgoing.on("error", () => {});
  outgoing.end(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: call }));
  const [incoming] = await Promise.race([
    // The emitter's own contract: `response` carries the message.
    once(outgoing, "response") as Promise<[IncomingMessage]>,
    delay(PATIENCE_MS, [undefined]),
  ]);
  incoming?.on("error", () => {}).pause();
  for (let turns = 20; turns > 0; turns -= 1) {
    incoming?.read(SLOW_READ_BYTES);
    // Slowness is its trade.
    // oxlint-disable-next-line no-await-in-loop
    await delay(250);
  }
  outgoing.destroy();
  if (random.chance(0.5)) await session.delete();
}

/** Lists, listens for a while and leaves. */
async function playListener({ url }: LivesOptions, random: SeededRandom): Promise<void> {
  const session = await openRawSession(url);
  const stream = await session.openStream();
  await session.request("tools/list");
  await delay(5_000 + random.int(15_000));
  await session.request("ping");
  stream.destroy();
  if (random.chance(0.5)) await session.delete();
}
