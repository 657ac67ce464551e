import * as fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { SILENT_LOGGER, type LogFields } from "../domain/logger.ts";
import { AuditLog, type AuditLogOptions } from "./audit-log.ts";
import { scriptedFile, type ScriptedFile } from "./testing/scripted-file.ts";

const RETRY_MS = 1_000;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

interface Rig extends Disposable {
  readonly log: AuditLog;
  readonly file: ScriptedFile;
  readonly told: readonly (readonly [string, LogFields | undefined])[];
}

function createRig(room?: number, options: Partial<AuditLogOptions> = {}): Rig {
  const file = scriptedFile(room);
  const told: [string, LogFields | undefined][] = [];
  const tell = (text: string, fields?: LogFields): void => void told.push([text, fields]);
  const log = new AuditLog({
    file,
    logger: { ...SILENT_LOGGER, warn: tell, error: tell },
    resumed: ({ reason, refused, lost }) => `resumed ${reason} ${refused} ${lost}\n`,
    ...options,
  });
  return { log, file, told, [Symbol.dispose]: () => log[Symbol.dispose]() };
}

test("each line is in the file when the call returns, in order", () => {
  using rig = createRig();

  rig.log.append("one\n");
  const outcome = rig.log.tryAppend("two\n");
  rig.log.append("three\n");

  expect(outcome).toBe("written");
  expect(rig.file.text).toBe("one\ntwo\nthree\n");
  expect(rig.log.interruption).toBeUndefined();
});

test("a file that takes a little at a time gets whole lines", () => {
  const whole = scriptedFile();
  const file = {
    name: "slow.log",
    write: (bytes: Buffer) => whole.write(bytes.subarray(0, 1)),
    [Symbol.dispose]() {},
  };
  using rig = createRig(undefined, { file });

  rig.log.append("one\n");

  expect(whole.text).toBe("one\n");
});

test("while the disk is full, nothing is written that could be refused [F36]", () => {
  using rig = createRig(0);

  const outcomes = [rig.log.tryAppend("one\n"), rig.log.tryAppend("two\n")];

  expect(outcomes).toEqual(["refused", "refused"]);
  expect(rig.log.interruption).toMatchObject({ reason: "ENOSPC" });
  // The file is left alone until it is tried again.
  expect(rig.file.attempts).toBe(1);
});

test("when there is room again, what was kept comes in order, then what became of the rest [F36]", () => {
  using rig = createRig(0);
  rig.log.tryAppend("refused\n");
  rig.log.noteRefused();
  rig.log.append("two\n");
  rig.log.append("three\n");

  rig.file.room = 1_000;
  vi.advanceTimersByTime(RETRY_MS);
  rig.log.append("four\n");

  expect(rig.file.text).toBe("two\nthree\nresumed ENOSPC 1 0\nfour\n");
  expect(rig.log.interruption).toBeUndefined();
});

test("the operator is told at the beginning and at the end of an interruption, and not between", () => {
  using rig = createRig(0);
  rig.log.append("one\n");
  rig.log.append("two\n");
  vi.advanceTimersByTime(5 * RETRY_MS);

  rig.file.room = 1_000;
  vi.advanceTimersByTime(5 * RETRY_MS);

  expect(rig.told).toEqual([
    ["the audit log cannot be written", { reason: "ENOSPC", file: "scripted.log" }],
    ["the audit log is written again", { refused: 0, lost: 0 }],
  ]);
});

test("a line of which the file took a part is told apart, and finished before anything else", () => {
  using rig = createRig(2);

  const outcome = rig.log.tryAppend("torn\n");
  rig.log.append("end of torn\n");
  rig.file.room = 1_000;
  vi.advanceTimersByTime(RETRY_MS);

  expect(outcome).toBe("torn");
  expect(rig.file.text).toBe("torn\nend of torn\nresumed ENOSPC 0 0\n");
});

test("what is kept has a bound, and what is beyond is counted and said", () => {
  using rig = createRig(0, { maxKeptBytes: 10 });
  rig.log.append("12345\n");
  rig.log.append("67890\n");
  rig.log.append("abc\n");

  rig.file.room = 1_000;
  vi.advanceTimersByTime(RETRY_MS);

  expect(rig.file.text).toBe("12345\nabc\nresumed ENOSPC 0 1\n");
  expect(rig.log.lost).toBe(1);
});

test("closing tries once more, and says what is lost", () => {
  const kept = createRig(0);
  const lost = createRig(0);
  kept.log.append("one\n");
  lost.log.append("one\n");
  kept.file.room = 1_000;

  kept.log[Symbol.dispose]();
  lost.log[Symbol.dispose]();

  expect(kept.file.text).toBe("one\nresumed ENOSPC 0 0\n");
  expect(lost.told.at(-1)).toEqual(["audit records were lost", { lost: 1 }]);
  expect([kept.file.isClosed, lost.file.isClosed]).toEqual([true, true]);
});

test("closing ends the attempts and may be repeated", () => {
  const rig = createRig(0);
  rig.log.append("one\n");

  rig.log[Symbol.dispose]();
  rig.log[Symbol.dispose]();

  expect(vi.getTimerCount()).toBe(0);
  expect(rig.log.tryAppend("late\n")).toBe("refused");
});

test("a file that cannot be written is found out before the first line", () => {
  using rig = createRig(0);

  rig.log.start();

  expect(rig.log.interruption).toMatchObject({ reason: "ENOSPC" });
});

test("whenever the disk fills and empties, every line that was not refused is there once, whole and in order", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("append" as const) }),
    fc.record({ kind: fc.constant("try" as const) }),
    fc.record({ kind: fc.constant("room" as const), room: fc.nat(12) }),
    fc.record({ kind: fc.constant("wait" as const) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      using rig = createRig();
      const expected: string[] = [];

      for (const [index, { kind, ...rest }] of steps.entries()) {
        const line = `line ${String(index)}\n`;
        if (kind === "room" && "room" in rest) rig.file.room = rest.room;
        if (kind === "wait") vi.advanceTimersByTime(RETRY_MS);
        if (kind === "append") rig.log.append(line);
        const isThere =
          kind === "append" || (kind === "try" && rig.log.tryAppend(line) !== "refused");
        if (isThere) expected.push(line.trim());
      }
      rig.file.room = Number.POSITIVE_INFINITY;
      vi.advanceTimersByTime(2 * RETRY_MS);

      const lines = rig.file.text.split("\n").filter((line) => line.startsWith("line"));
      expect(lines).toEqual(expected);
      expect(rig.file.text).toMatch(/^(?:line \d+\n|resumed ENOSPC 0 0\n)*$/);
    }),
  );
});
