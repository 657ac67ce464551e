import { expect, test } from "vitest";
import { TimeBox } from "./time-box.ts";

test("work that ends in time has its value", () => {
  expect(new TimeBox().run(() => 7, 1_000)).toEqual({ isDone: true, value: 7 });
});

test("work without an end is stopped, and the next one runs", () => {
  const box = new TimeBox();

  const endless = box.run(() => {
    for (;;);
  }, 10);
  const next = box.run(() => "next", 1_000);

  expect(endless).toEqual({ isDone: false });
  expect(next).toEqual({ isDone: true, value: "next" });
});

test("what the work throws passes through", () => {
  const box = new TimeBox();
  const recurse = (): number => recurse() + 1;

  expect(() => box.run(recurse, 1_000)).toThrow(RangeError);
  expect(box.run(() => 1, 1_000)).toEqual({ isDone: true, value: 1 });
});
