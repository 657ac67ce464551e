import { expect, test } from "vitest";
import { PendingSignIns } from "./pending-sign-ins.ts";

test("a sign-in is finished once, by the browser that began it", () => {
  using pending = new PendingSignIns<string>();
  const { state, browserKey } = pending.add("b1");

  const finished = [
    pending.finish(state, []),
    pending.finish(state, ["other", ""]),
    pending.finish("other", [browserKey]),
    pending.finish(state, ["other", browserKey]),
    pending.finish(state, [browserKey]),
  ];

  expect(finished.map((each) => each?.purpose)).toEqual([
    undefined,
    undefined,
    undefined,
    "b1",
    undefined,
  ]);
  expect(pending.size).toBe(0);
});

test("its link can be opened until it is finished", () => {
  using pending = new PendingSignIns<string>();
  const { ticket, state, browserKey } = pending.add("b1");

  const before = pending.withTicket(ticket)?.purpose;
  pending.finish(state, [browserKey]);

  expect([before, pending.withTicket(ticket)]).toEqual(["b1", undefined]);
});

test("no two have anything in common, and none can be guessed from another", () => {
  using pending = new PendingSignIns<string>();
  const all = [pending.add("a"), pending.add("b")].flatMap(({ ticket, state, browserKey }) => [
    ticket,
    state,
    browserKey,
  ]);

  expect(new Set(all).size).toBe(6);
  expect(all.every((secret) => secret.length >= 32)).toBe(true);
});

test("beyond a thousand the oldest is forgotten", () => {
  using pending = new PendingSignIns<number>();
  const first = pending.add(0);
  const second = pending.add(1);

  for (let index = 2; index <= 1_000; index += 1) pending.add(index);

  expect(pending.size).toBe(1_000);
  expect(pending.withTicket(first.ticket)).toBeUndefined();
  expect(pending.withTicket(second.ticket)?.purpose).toBe(1);
});
