import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { parseBackendName } from "../domain/ids.ts";
import { LateSignal } from "../lib/late-signal.ts";
import { Semaphore } from "../lib/semaphore.ts";
import { ConnectAttempt } from "./connect-attempt.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const NEVER = new LateSignal();

/** An attempt that hangs until its time is over. */
function hang(slot: Semaphore): Promise<unknown> {
  const attempt = new ConnectAttempt({
    name: parseBackendName("b1"),
    slots: [slot],
    timeoutMs: 30_000,
    admit() {},
    connect: async () => new Promise(() => {}),
    onAbandoned() {},
  });
  return attempt.run().catch((thrown: unknown) => thrown);
}

test("an attempt that takes long lets the next one begin, and its own end frees no second permit", async () => {
  const slot = new Semaphore(1);
  const hanging = hang(slot);
  let isIn = false;
  const next = slot.acquire(NEVER).then(() => (isIn = true));

  await vi.advanceTimersByTimeAsync(900);
  const soon = isIn;
  await vi.advanceTimersByTimeAsync(200);
  await next;
  let isThirdIn = false;
  void slot.acquire(NEVER).then(() => (isThirdIn = true));
  await vi.advanceTimersByTimeAsync(30_000);

  expect(soon).toBe(false);
  expect(isIn).toBe(true);
  expect(await hanging).toMatchObject({ code: "backend_timeout" });
  expect(isThirdIn).toBe(false);
  expect(vi.getTimerCount()).toBe(0);
});
