import { expect, test } from "vitest";
import { parseBackendName } from "../domain/ids.ts";
import { SILENT_LOGGER } from "../domain/logger.ts";
import { DEADLINES } from "../lib/deadlines.ts";
import { toSettings, type BackendSettings } from "./options.ts";
import { StartTime } from "./start-time.ts";

function settings(startMs: number): BackendSettings {
  const name = parseBackendName("b1");
  return toSettings({ name, transport: "stdio", timeouts: { startMs }, logger: SILENT_LOGGER });
}

test("work that takes longer than the time to start is not waited for", async () => {
  using time = new StartTime(settings(1), new AbortController().signal);

  const waiting = time.until(new Promise(() => {}));

  await expect(waiting).rejects.toMatchObject({
    code: "backend_timeout",
    executionState: "not_executed",
  });
});

test("a signal that aborts ends the wait with its reason, and the work's own failure is nobody's", async () => {
  const controller = new AbortController();
  using time = new StartTime(settings(60_000), controller.signal);
  let fail: ((error: Error) => void) | undefined;
  const work = new Promise<void>((_resolve, reject) => (fail = reject));

  const waiting = time.until(work);
  controller.abort(new Error("gone"));

  await expect(waiting).rejects.toThrow("gone");
  fail?.(new Error("too late"));
  await expect(time.until(Promise.resolve())).rejects.toThrow("gone");
  expect(time.end.signal.reason).toMatchObject({ message: "gone" });
});

test("work that ends in time is what counts, well or badly", async () => {
  using time = new StartTime(settings(60_000), new AbortController().signal);

  await time.until(Promise.resolve());

  await expect(time.until(Promise.reject(new Error("refused")))).rejects.toThrow("refused");
});

test("a start that is done leaves no deadline behind, and its signal ends nothing any more", () => {
  const controller = new AbortController();
  const waitingBefore = DEADLINES.size;
  const time = new StartTime(settings(60_000), controller.signal);

  time[Symbol.dispose]();
  controller.abort(new Error("later"));

  expect(DEADLINES.size).toBe(waitingBefore);
  expect(time.end.isAborted).toBe(false);
});
