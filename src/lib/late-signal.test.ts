import { expect, test } from "vitest";
import { LateSignal } from "./late-signal.ts";

test("the first abort counts, for the listener and for who asks", () => {
  const late = new LateSignal();
  const heard: unknown[] = [];
  late.onAbort((reason) => void heard.push(reason));

  late.throwIfAborted();
  late.abort("first");
  late.abort("second");

  expect(heard).toEqual(["first"]);
  expect(late.isAborted).toBe(true);
  expect(late.reason).toBe("first");
  expect(() => late.throwIfAborted()).toThrow("first");
});

test.for([
  { asked: "before it aborts", isBefore: true },
  { asked: "after it aborted", isBefore: false },
])("a signal that is asked for $asked has the same reason", ({ isBefore }) => {
  const late = new LateSignal();
  const before = isBefore ? late.signal : undefined;

  late.abort(new Error("over"));

  expect(late.signal).toBe(before ?? late.signal);
  expect(late.signal.aborted).toBe(true);
  expect(late.signal.reason).toMatchObject({ message: "over" });
});

test("a listener that was taken back hears nothing, and the latest one is the one that hears", () => {
  const [taken, replaced] = [new LateSignal(), new LateSignal()];
  const heard: string[] = [];
  taken.onAbort(() => void heard.push("taken"));
  replaced.onAbort(() => void heard.push("before"));

  taken.onAbort(undefined);
  replaced.onAbort(() => void heard.push("latest"));
  taken.abort("over");
  replaced.abort("over");

  expect(heard).toEqual(["latest"]);
});
