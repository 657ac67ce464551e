import process from "node:process";
import { expect, test, vi } from "vitest";
import { StopSignals } from "./stop-signals.ts";

test.for(["SIGINT", "SIGTERM", "SIGHUP"] as const)("%s stops", async (signal) => {
  using signals = new StopSignals();

  process.emit(signal, signal);

  await expect(signals.received).resolves.toBe(signal);
});

test("SIGHUP that is of other use does not stop, and is of none once a stop began", async () => {
  const onHangup = vi.fn<() => void>();
  using signals = new StopSignals({ onHangup });

  process.emit("SIGHUP", "SIGHUP");
  process.emit("SIGHUP", "SIGHUP");
  process.emit("SIGTERM", "SIGTERM");
  process.emit("SIGHUP", "SIGHUP");

  await expect(signals.received).resolves.toBe("SIGTERM");
  expect(onHangup).toHaveBeenCalledTimes(2);
});

test("disposing takes the listeners away", () => {
  const before = process.listenerCount("SIGHUP");
  const signals = new StopSignals({ onHangup: () => {} });

  signals[Symbol.dispose]();

  expect(process.listenerCount("SIGHUP")).toBe(before);
});
