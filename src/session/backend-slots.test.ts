import { expect, test } from "vitest";
import { parseBackendName } from "../domain/ids.ts";
import { LateSignal } from "../lib/late-signal.ts";
import { BackendSlots } from "./backend-slots.ts";

const NEVER = new LateSignal();
const B1 = parseBackendName("b1");
const B2 = parseBackendName("b2");

test.for([
  [64, 8],
  [1, 1],
  [9, 2],
] as const)("of %s permits of the process, one backend gets %s", async ([all, share]) => {
  const slots = new BackendSlots(all);
  for (let taken = 0; taken < share; taken += 1) await slots.of(B1).acquire(NEVER);
  let isIn = false;

  void slots
    .of(B1)
    .acquire(NEVER)
    .then(() => (isIn = true));
  await slots.of(B2).acquire(NEVER);

  expect(isIn).toBe(false);
});
