import { describe, expect, test } from "vitest";
import { SILENT_LOGGER, type Logger } from "../domain/logger.ts";
import { sendRaw } from "../../test/support/raw-client.ts";
import {
  MemoryPressure,
  shareOf,
  type MemoryFigures,
  type MemoryGauge,
  type PressureLevel,
} from "./memory-pressure.ts";
import { SESSION_HEADERS, startHost } from "./testing/host.ts";

const NEXT_SAMPLE_MS = 100;
const NEXT_COLLECTION_MS = 500;

/** A heap of which the test says how much is alive and how much is garbage, as shares of what may be used. */
function scriptedHeap(alive: number, garbage = 0) {
  const heap = { alive, garbage, nowMs: 0, looks: 0, collections: 0, collectionMs: 0, warnings: 0 };
  let tell = (): void => {};
  const collect = (): void => {
    heap.garbage = 0;
    tell();
  };
  const gauge: MemoryGauge = {
    share: () => {
      heap.looks += 1;
      return heap.alive + heap.garbage;
    },
    collect: () => {
      heap.collections += 1;
      heap.nowMs += heap.collectionMs;
      collect();
    },
    onCollected: (listener) => {
      tell = listener;
    },
  };
  const logger: Logger = { ...SILENT_LOGGER, warn: () => void (heap.warnings += 1) };
  const pressure = new MemoryPressure({ logger, gauge, now: () => heap.nowMs });
  return { heap, pressure, collectByItself: collect };
}

test.for<[number, PressureLevel]>([
  [0.3, "none"],
  [0.84, "none"],
  [0.85, "shedding"],
  [0.89, "shedding"],
  [0.9, "critical"],
  [1, "critical"],
])("a heap of which %d is alive gives the level %s [L14]", ([alive, expected]) => {
  const { pressure } = scriptedHeap(alive);

  expect(pressure.level()).toBe(expected);
});

test("garbage is collected before it counts", () => {
  const { heap, pressure } = scriptedHeap(0.4, 0.5);

  expect(pressure.level()).toBe("none");
  expect(heap.collections).toBe(1);
});

test("a heap that is far from full is never collected", () => {
  const { heap, pressure } = scriptedHeap(0.4, 0.4);

  for (; heap.nowMs < 60_000; heap.nowMs += NEXT_SAMPLE_MS) pressure.level();

  expect(heap.collections).toBe(0);
});

test("the heap is looked at no more than ten times a second, however many ask", () => {
  const { heap, pressure } = scriptedHeap(0.3);

  for (; heap.nowMs < 1_000; heap.nowMs += 1) pressure.level();

  expect(heap.looks).toBe(10);
});

test("garbage that comes soon after a collection is neither counted nor collected", () => {
  const { heap, pressure } = scriptedHeap(0.4, 0.5);
  pressure.level();

  heap.garbage = 0.5;
  heap.nowMs += NEXT_SAMPLE_MS;

  expect(pressure.level()).toBe("none");
  expect(heap.collections).toBe(1);
});

test("a collection that was not asked for tells what is alive", () => {
  const { heap, pressure, collectByItself } = scriptedHeap(0.4);
  pressure.level();

  heap.alive = 0.95;
  collectByItself();

  expect(pressure.level()).toBe("critical");
  expect(heap.collections).toBe(0);
});

test("a gateway that refuses everything finds out by itself that its memory is free again", () => {
  const { heap, pressure } = scriptedHeap(0.88);
  pressure.level();

  heap.alive = 0.3;
  heap.garbage = 0.58;
  heap.nowMs += NEXT_SAMPLE_MS;
  const soon = pressure.level();
  heap.nowMs += NEXT_COLLECTION_MS;

  expect(soon).toBe("shedding");
  expect(pressure.level()).toBe("none");
});

test("collections that take long are made rarely", () => {
  const { heap, pressure } = scriptedHeap(0.95);
  heap.collectionMs = 1_000;

  for (; heap.nowMs < 60_000; heap.nowMs += NEXT_SAMPLE_MS) pressure.level();

  expect(heap.collections).toBeGreaterThan(1);
  expect(heap.collections).toBeLessThanOrEqual(6);
});

test("less in use ends the pressure without a collection", () => {
  const { heap, pressure } = scriptedHeap(0.95);
  pressure.level();

  heap.alive = 0.86;
  heap.nowMs += NEXT_SAMPLE_MS;
  const less = pressure.level();
  heap.alive = 0.5;
  heap.nowMs += NEXT_SAMPLE_MS;

  expect([less, pressure.level()]).toEqual(["shedding", "none"]);
  expect(heap.collections).toBe(1);
});

test("each change of the level is logged once", () => {
  const { heap, pressure } = scriptedHeap(0.95);
  for (; heap.nowMs < 1_000; heap.nowMs += NEXT_SAMPLE_MS) pressure.level();

  heap.alive = 0.2;
  for (; heap.nowMs < 2_000; heap.nowMs += NEXT_SAMPLE_MS) pressure.level();

  expect(heap.warnings).toBe(2);
});

const MIB = 1_048_576;

test.for<[string, Partial<MemoryFigures>, number]>([
  ["of the heap, without what new objects have for themselves", { heapBytes: 500 * MIB }, 0.5],
  ["of a small heap", { heapBytes: 64 * MIB, heapLimit: 112 * MIB }, 1],
  [
    "of a heap as small as what new objects have",
    { heapBytes: 10 * MIB, heapLimit: 40 * MIB },
    0.5,
  ],
  ["of the machine, buffers included", { heapBytes: 100 * MIB, externalBytes: 7_900 * MIB }, 0.8],
])("the share that counts is that %s", ([_what, figures, expected]) => {
  const share = shareOf({
    heapBytes: 0,
    heapLimit: 1_048 * MIB,
    externalBytes: 0,
    machineBytes: 10_000 * MIB,
    ...figures,
  });

  expect(share).toBeCloseTo(expected, 5);
});

test("the memory of this process is far from full", () => {
  expect(new MemoryPressure({ logger: SILENT_LOGGER }).level()).toBe("none");
});

describe("a host whose memory is nearly full", () => {
  const CALL = {
    method: "POST",
    headers: SESSION_HEADERS,
    body: '{"jsonrpc":"2.0","id":1,"method":"ping"}',
  };
  const STREAM = { headers: { ...SESSION_HEADERS, accept: "text/event-stream" } };

  test.for(["", "?from=here", "/s/mine"])(
    "refuses what is new at the endpoint%s and says when to come back [L14]",
    async (below) => {
      await using host = await startHost({ pressure: { level: () => "shedding" } });
      const url = `${host.url}${below}`;

      const answers = [await sendRaw(url, CALL), await sendRaw(url, STREAM)];

      for (const { status, headers, text } of answers) {
        expect(status).toBe(503);
        expect(headers["retry-after"]).toBe("5");
        expect(JSON.parse(text)).toMatchObject({ error: { code: 503 } });
      }
    },
  );

  test("still tells how it is, and still ends sessions", async () => {
    await using host = await startHost({ pressure: { level: () => "critical" } });

    const health = await sendRaw(new URL("/health", host.url).href);
    const deleted = await sendRaw(host.url, { method: "DELETE", headers: SESSION_HEADERS });

    expect(health.status).toBe(200);
    expect(deleted.status).not.toBe(503);
  });

  test.for<[PressureLevel, string]>([
    ["none", "keep-alive"],
    ["shedding", "keep-alive"],
    ["critical", "close"],
  ])("at %s its answers say connection: %s [L14]", async ([level, connection]) => {
    await using host = await startHost({ pressure: { level: () => level } });

    const { headers } = await sendRaw(new URL("/health", host.url).href, {
      headers: { connection: "keep-alive" },
    });

    expect(headers.connection).toBe(connection);
  });
});
