import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { parseBackendName, type BackendName } from "../domain/ids.ts";
import { Relisting } from "./relisting.ts";

const A = parseBackendName("a");
const B = parseBackendName("b");
const GAP_MS = 1_000;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** Fetches that take `durationMs`, each noted with the moment at which it began. */
function recording(durationMs = 0) {
  const begun: { backend: BackendName; atMs: number }[] = [];
  const relisting = new Relisting(async (backend) => {
    begun.push({ backend, atMs: Date.now() });
    await new Promise((resolve) => {
      setTimeout(resolve, durationMs);
    });
  });
  return { relisting, begun };
}

describe("a change of a backend's lists", () => {
  test("is asked about at once", () => {
    const { relisting, begun } = recording();

    relisting.request(A);

    expect(begun).toHaveLength(1);
  });

  test("is asked about once more after the last of many, and then no more", async () => {
    const { relisting, begun } = recording();

    for (let change = 0; change < 500; change += 1) relisting.request(A);
    await vi.advanceTimersByTimeAsync(10 * GAP_MS);

    expect(begun).toHaveLength(2);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("is not held up by another backend's", () => {
    const { relisting, begun } = recording(60_000);

    relisting.request(A);
    relisting.request(B);

    expect(begun.map(({ backend }) => backend)).toEqual([A, B]);
  });

  test("while the lists are fetched is asked about again when that is done", async () => {
    const { relisting, begun } = recording(5_000);
    relisting.request(A);

    await vi.advanceTimersByTimeAsync(4_999);
    relisting.request(A);
    await vi.advanceTimersByTimeAsync(GAP_MS + 1);

    expect(begun).toHaveLength(2);
  });

  test("whose fetch fails is asked about again at the next change", async () => {
    let attempts = 0;
    const relisting = new Relisting(async () => {
      attempts += 1;
      throw new Error("no list to be had");
    });
    relisting.request(A);
    await vi.advanceTimersByTimeAsync(GAP_MS);

    relisting.request(A);

    expect(attempts).toBe(2);
  });
});

test("closing ends the fetch under way, forgets what waits and takes nothing more", async () => {
  const signals: AbortSignal[] = [];
  const relisting = new Relisting(async (_backend, signal) => void signals.push(signal));
  relisting.request(A);
  relisting.request(A);
  await vi.advanceTimersByTimeAsync(1);

  relisting.close();
  relisting.request(B);
  await vi.advanceTimersByTimeAsync(10 * GAP_MS);

  expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  expect(vi.getTimerCount()).toBe(0);
});

test("whenever changes come, a second lies between two questions and the last change is asked about", async () => {
  const waits = fc.array(fc.integer({ min: 0, max: 1_500 }), { minLength: 1, maxLength: 30 });

  await fc.assert(
    fc.asyncProperty(waits, fc.integer({ min: 0, max: 700 }), async (pauses, durationMs) => {
      const { relisting, begun } = recording(durationMs);
      let lastChangeMs = 0;
      for (const pause of pauses) {
        // Changes come one after another.
        // oxlint-disable-next-line no-await-in-loop
        await vi.advanceTimersByTimeAsync(pause);
        lastChangeMs = Date.now();
        relisting.request(A);
      }
      await vi.advanceTimersByTimeAsync(10 * GAP_MS);

      const gaps = begun.slice(1).map(({ atMs }, index) => atMs - (begun[index]?.atMs ?? 0));
      expect(gaps.every((gap) => gap >= GAP_MS)).toBe(true);
      expect(begun.at(-1)?.atMs).toBeGreaterThanOrEqual(lastChangeMs);
      expect(vi.getTimerCount()).toBe(0);
    }),
    { numRuns: 50 },
  );
});
