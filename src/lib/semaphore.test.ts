import { expect, test } from "vitest";
import { LateSignal } from "./late-signal.ts";
import { Semaphore } from "./semaphore.ts";

const NEVER = new LateSignal();

test("those who wait are let in in order, and before anyone who comes when a place is free", async () => {
  const slots = new Semaphore(1);
  const entered: string[] = [];
  const held = await slots.acquire(NEVER);
  const first = slots.acquire(new LateSignal());
  const second = slots.acquire(new LateSignal());

  held[Symbol.dispose]();
  const between = slots.tryAcquire();
  using firstPermit = await first;
  entered.push("first");
  firstPermit[Symbol.dispose]();
  using _secondPermit = await second;
  entered.push("second");

  expect(between).toBeUndefined();
  expect(entered).toEqual(["first", "second"]);
  expect(slots.tryAcquire()).toBeUndefined();
});

test("one who gives up leaves the line, and takes no place with it", async () => {
  const slots = new Semaphore(1);
  const held = await slots.acquire(NEVER);
  const impatient = new LateSignal();
  const leaving = slots.acquire(impatient);
  const staying = slots.acquire(new LateSignal());

  impatient.abort(new Error("gone"));
  await expect(leaving).rejects.toThrow("gone");
  held[Symbol.dispose]();
  const permit = await staying;
  permit[Symbol.dispose]();

  expect(slots.tryAcquire()).toBeDefined();
});

test("one who has given up before is refused, and giving a permit back twice frees one place", async () => {
  const slots = new Semaphore(1);
  const gone = new LateSignal();
  gone.abort(new Error("gone"));

  await expect(slots.acquire(gone)).rejects.toThrow("gone");
  const permit = slots.tryAcquire();
  permit?.[Symbol.dispose]();
  permit?.[Symbol.dispose]();
  const again = slots.tryAcquire();

  expect(again).toBeDefined();
  expect(slots.tryAcquire()).toBeUndefined();
});
