import * as fc from "fast-check";
import { expect, test } from "vitest";
import { SILENT_LOGGER } from "../domain/logger.ts";
import { mintSessionId } from "../domain/ids.ts";
import { createLiveSession } from "../../test/support/sessions.ts";
import { IdleSessions } from "./idle-sessions.ts";
import type { LiveSession } from "./live-session.ts";

const IDLE_FOR_MS = 10_000;

interface Rig {
  readonly idle: IdleSessions<LiveSession>;
  readonly sessions: LiveSession[];
  readonly open: () => LiveSession;
  readonly advance: (ms: number) => void;
  /** How often every session was looked at. */
  readonly looks: () => number;
  readonly logged: readonly unknown[];
}

function createRig(): Rig {
  let nowMs = 1_000_000;
  let looks = 0;
  const sessions: LiveSession[] = [];
  const logged: unknown[] = [];
  const idle = new IdleSessions<LiveSession>({
    live: () => {
      looks += 1;
      return sessions;
    },
    find: (id) => sessions.find((session) => session.id === id),
    idleForMs: IDLE_FOR_MS,
    clock: () => nowMs,
    logger: { ...SILENT_LOGGER, warn: (_text, fields) => void logged.push(fields) },
  });
  return {
    idle,
    sessions,
    open: () => {
      const session = createLiveSession({ id: mintSessionId(), now: () => nowMs });
      sessions.push(session);
      return session;
    },
    advance: (ms) => {
      nowMs += ms;
    },
    looks: () => looks,
    logged,
  };
}

/** Takes the next one as the manager does: it is gone then. */
function takeFrom({ idle, sessions }: Rig): LiveSession | undefined {
  const taken = idle.take();
  if (taken !== undefined) sessions.splice(sessions.indexOf(taken), 1);
  return taken;
}

test("the least recently used goes first, and none that was used within the time", () => {
  const rig = createRig();
  const [first, second, third] = [rig.open(), rig.open(), rig.open()];
  rig.advance(1);
  first.touch();
  rig.advance(1);
  third.touch();
  rig.advance(IDLE_FOR_MS - 1);

  expect(takeFrom(rig)).toBe(second);
  expect(takeFrom(rig)).toBe(first);
  expect(takeFrom(rig)).toBeUndefined();
});

test("a session with an open stream stays, and is idle from the stream's end on", () => {
  const rig = createRig();
  const session = rig.open();
  const stream = session.attachStream({ send: () => true, end() {} });
  rig.advance(5 * IDLE_FOR_MS);

  expect(takeFrom(rig)).toBeUndefined();
  stream[Symbol.dispose]();
  rig.advance(IDLE_FOR_MS - 1);
  expect(takeFrom(rig)).toBeUndefined();
  rig.advance(IDLE_FOR_MS);
  expect(takeFrom(rig)).toBe(session);
});

test("one that was used after it had been found idle is spared", () => {
  const rig = createRig();
  const [first, second, third] = [rig.open(), rig.open(), rig.open()];
  rig.advance(IDLE_FOR_MS);
  const taken = takeFrom(rig);
  rig.advance(1);

  second.touch();

  expect(taken).toBe(first);
  expect(takeFrom(rig)).toBe(third);
  expect(takeFrom(rig)).toBeUndefined();
});

test("while nothing can have become idle, refusing looks at nothing", () => {
  const rig = createRig();
  for (let n = 0; n < 20; n += 1) rig.open();
  rig.advance(IDLE_FOR_MS / 2);

  for (let n = 0; n < 1_000; n += 1) expect(rig.idle.take()).toBeUndefined();

  expect(rig.looks()).toBe(1);
  rig.advance(IDLE_FOR_MS / 2);
  expect(rig.idle.take()).toBeDefined();
  expect(rig.looks()).toBe(2);
});

test("one look serves as many as it found", () => {
  const rig = createRig();
  for (let n = 0; n < 20; n += 1) rig.open();
  rig.advance(IDLE_FOR_MS);

  const taken = Array.from({ length: 20 }, () => takeFrom(rig));

  expect(new Set(taken).size).toBe(20);
  expect(taken).not.toContain(undefined);
  expect(rig.looks()).toBe(1);
});

test("the log is told once a minute, with how many had to go", () => {
  const rig = createRig();
  for (let n = 0; n < 4; n += 1) rig.open();
  rig.advance(IDLE_FOR_MS);
  for (let n = 0; n < 3; n += 1) takeFrom(rig);
  rig.advance(60_000);

  takeFrom(rig);

  expect(rig.logged).toEqual([{ ended: 1 }, { ended: 3 }]);
});

const STEP = fc.oneof(
  fc.record({ kind: fc.constant("open" as const) }),
  fc.record({ kind: fc.constant("take" as const) }),
  fc.record({ kind: fc.constant("touch" as const), index: fc.nat(9) }),
  fc.record({ kind: fc.constant("busy" as const), index: fc.nat(9) }),
  fc.record({ kind: fc.constant("pass" as const), ms: fc.nat(2 * IDLE_FOR_MS) }),
);

test("whatever happens, only a session that is idle goes, and none that was idle for longer stays [R9]", () => {
  fc.assert(
    fc.property(fc.array(STEP, { maxLength: 60 }), (steps) => {
      const rig = createRig();
      let nowMs = 0;
      const usedAtMs = new Map<LiveSession, number>();
      const busy = new Set<LiveSession>();
      for (const step of steps) {
        const session =
          "index" in step ? rig.sessions[step.index % rig.sessions.length] : undefined;
        if (step.kind === "open") usedAtMs.set(rig.open(), nowMs);
        if (step.kind === "pass") {
          nowMs += step.ms;
          rig.advance(step.ms);
        }
        if (step.kind === "touch" && session !== undefined) {
          session.touch();
          usedAtMs.set(session, nowMs);
        }
        if (step.kind === "busy" && session !== undefined && !busy.has(session)) {
          session.attachStream({ send: () => true, end() {} });
          busy.add(session);
          usedAtMs.set(session, nowMs);
        }
        if (step.kind !== "take") continue;
        const taken = takeFrom(rig);
        if (taken === undefined) continue;
        const takenAtMs = usedAtMs.get(taken) ?? 0;
        expect(busy.has(taken)).toBe(false);
        expect(nowMs - takenAtMs).toBeGreaterThanOrEqual(IDLE_FOR_MS);
        const olderOnes = rig.sessions.filter(
          (other) => !busy.has(other) && (usedAtMs.get(other) ?? 0) < takenAtMs,
        );
        expect(olderOnes).toEqual([]);
      }
    }),
    { numRuns: 300 },
  );
});
