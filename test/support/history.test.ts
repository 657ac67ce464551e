import * as fc from "fast-check";
import { expect, test } from "vitest";
import { checkHistory, History, type Execution, type HistoryEvent } from "./history.ts";

const invoke = (nonce: string, session = "s1"): HistoryEvent => ({
  kind: "invoke",
  session,
  nonce,
});
const ok = (nonce: string, answered = nonce, session = "s1"): HistoryEvent => ({
  kind: "ok",
  session,
  nonce,
  answered,
});
const fail = (nonce: string, executionState?: string): HistoryEvent => ({
  kind: "fail",
  session: "s1",
  nonce,
  executionState,
  message: "no",
});
const unknown = (nonce: string): HistoryEvent => ({ kind: "unknown", session: "s1", nonce });
const heard = (nonce: string, session: string): HistoryEvent => ({
  kind: "heard",
  session,
  nonce,
});
const executed = (nonce: string, backendSession = "b1"): Execution => ({
  backend: "http",
  backendSession,
  nonce,
});

test.for<[string, HistoryEvent[], Execution[]]>([
  ["an answered call", [invoke("a"), heard("a", "s1"), ok("a")], [executed("a")]],
  ["a refused call", [invoke("a"), fail("a", "not_executed")], []],
  ["a call that may have run, and did", [invoke("a"), fail("a", "unknown")], [executed("a")]],
  ["a call that may have run, and did not", [invoke("a"), fail("a", "unknown")], []],
  ["a call whose end nobody saw", [invoke("a"), unknown("a")], [executed("a")]],
  [
    "two sessions with backend sessions of their own",
    [invoke("a", "s1"), invoke("b", "s2"), ok("b", "b", "s2"), ok("a")],
    [executed("a", "b1"), executed("b", "b2")],
  ],
  [
    "a session with two backend sessions, one after the other",
    [invoke("a"), ok("a"), invoke("b"), ok("b")],
    [executed("a", "b1"), executed("b", "b2")],
  ],
])("%s is sound", ([, events, executions]) => {
  expect(checkHistory(events, executions)).toEqual([]);
});

test.for<[string, HistoryEvent[], Execution[], string]>([
  [
    "executed twice [I1]",
    [invoke("a"), ok("a")],
    [executed("a"), executed("a")],
    "a was executed 2 times",
  ],
  [
    "executed twice in two backend sessions [I1]",
    [invoke("a"), ok("a")],
    [executed("a"), executed("a", "b2")],
    "a was executed 2 times",
  ],
  ["executed for nobody [I1]", [], [executed("a")], "a was executed, but nobody called it"],
  [
    "executed although the error denies it [I1]",
    [invoke("a"), fail("a", "not_executed")],
    [executed("a")],
    "a was executed, but the error says that it was not",
  ],
  [
    "answered out of nothing [I1]",
    [invoke("a"), ok("a")],
    [],
    "a was answered, but nobody executed it",
  ],
  ["never answered [I2]", [invoke("a")], [executed("a")], "a was never answered"],
  [
    "answered twice [I2]",
    [invoke("a"), ok("a"), ok("a")],
    [executed("a")],
    "a was answered 2 times",
  ],
  [
    "answered and failed [I2]",
    [invoke("a"), ok("a"), fail("a")],
    [executed("a")],
    "a was answered 2 times",
  ],
  [
    "answered with another's answer [I3]",
    [invoke("a"), ok("a", "b"), invoke("b"), ok("b")],
    [executed("a"), executed("b")],
    "a got the answer to b",
  ],
  [
    "answered to another session [I3]",
    [invoke("a"), ok("a", "a", "s2")],
    [executed("a")],
    "s2 got ok for a, which is not its own",
  ],
  [
    "heard of in another session [I3]",
    [invoke("a"), heard("a", "s2"), ok("a")],
    [executed("a")],
    "s2 got heard for a, which is not its own",
  ],
  [
    "served by another session's backend session [I3]",
    [invoke("a", "s1"), invoke("b", "s2"), ok("a"), ok("b", "b", "s2")],
    [executed("a"), executed("b")],
    "backend session http b1 served s1 and s2",
  ],
])("a call that is %s is found", ([, events, executions, fault]) => {
  expect(checkHistory(events, executions)).toContain(fault);
});

test("whatever is added to a sound history twice is found, and nothing else", () => {
  const ends = [ok, fail, unknown];

  fc.assert(
    fc.property(fc.array(fc.nat(ends.length - 1), { minLength: 1 }), fc.nat(), (chosen, which) => {
      const nonces = chosen.map((_end, index) => `n${index}`);
      const sound = nonces.flatMap((nonce, index) => [
        invoke(nonce),
        (ends[chosen[index] ?? 0] ?? ok)(nonce),
      ]);
      const executions = nonces.map((nonce) => executed(nonce));
      const victim = nonces[which % nonces.length] ?? "";

      expect(checkHistory(sound, executions)).toEqual([]);
      expect(checkHistory(sound, [...executions, executed(victim)])).toEqual([
        `${victim} was executed 2 times`,
      ]);
      expect(checkHistory([...sound, unknown(victim)], executions)).toEqual([
        `${victim} was answered 2 times`,
      ]);
    }),
  );
});

test("nonces of one history are all different, and events are counted by kind", () => {
  const history = new History("seed");

  const nonces = Array.from({ length: 100 }, () => history.nextNonce());
  history.write(invoke("a"));
  history.write(ok("a"));

  expect(new Set(nonces).size).toBe(100);
  expect([history.count("invoke"), history.count("fail")]).toEqual([1, 0]);
});
