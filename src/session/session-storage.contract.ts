import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parseSessionId } from "../domain/ids.ts";
import type { SessionRecord } from "./session-record.ts";
import type { SessionStorage } from "./session-storage.ts";

/** The promises of `SessionStorage`, for every implementation. `create` makes an empty one. */
export function describeSessionStorage(
  name: string,
  create: () => SessionStorage | Promise<SessionStorage>,
): void {
  describe(`${name} as a session storage`, () => {
    let storage: SessionStorage;
    beforeEach(async () => {
      storage = await create();
    });
    afterEach(async () => {
      await storage.close();
    });

    test("an unknown id has no record", async () => {
      expect(await storage.load("unknown")).toBeUndefined();
      expect(await storage.touch("unknown", 5)).toBeUndefined();
      expect(await storage.remove("unknown")).toBe(false);
      expect(await storage.removeIf("unknown", 1)).toBe(false);
      expect(await storage.count()).toBe(0);
    });

    test("an inserted record is there, at generation 1", async () => {
      const isInserted = await storage.insert(recordOf("a", { generation: 77 }));

      expect(isInserted).toBe(true);
      expect(await storage.load("a")).toEqual(recordOf("a", { generation: 1 }));
    });

    test("inserting never replaces", async () => {
      await storage.insert(recordOf("a"));

      const isInserted = await storage.insert(recordOf("a", { phase: "live" }));

      expect(isInserted).toBe(false);
      expect((await storage.load("a"))?.phase).toBe("placeholder");
    });

    test("storing inserts or replaces, and the generation grows", async () => {
      await storage.store(recordOf("a", { generation: 9 }));
      const inserted = await storage.load("a");
      await storage.store(recordOf("a", { phase: "live", generation: 0 }));

      expect(inserted?.generation).toBe(1);
      expect(await storage.load("a")).toEqual(recordOf("a", { phase: "live", generation: 2 }));
    });

    test("touching moves the time of the last use forward only, and is no replacement", async () => {
      await storage.insert(recordOf("a", { updatedAtMs: 100 }));

      const forward = await storage.touch("a", 150);
      const backward = await storage.touch("a", 120);

      expect(forward).toEqual(recordOf("a", { updatedAtMs: 150 }));
      expect(backward).toEqual(forward);
      expect(await storage.load("a")).toEqual(forward);
    });

    test("a conditional write goes through at the expected generation", async () => {
      await storage.insert(recordOf("a"));
      await storage.touch("a", 500);

      const isWritten = await storage.compareAndSwap(1, recordOf("a", { phase: "live" }));

      expect(isWritten).toBe(true);
      expect(await storage.load("a")).toEqual(recordOf("a", { phase: "live", generation: 2 }));
    });

    test("a conditional write fails when the record was replaced, and changes nothing", async () => {
      await storage.insert(recordOf("a"));
      await storage.store(recordOf("a", { phase: "terminated" }));

      const isWritten = await storage.compareAndSwap(1, recordOf("a", { phase: "live" }));

      expect(isWritten).toBe(false);
      expect(await storage.load("a")).toEqual(
        recordOf("a", { phase: "terminated", generation: 2 }),
      );
    });

    test("a conditional write does not bring a removed record back", async () => {
      await storage.insert(recordOf("a"));
      await storage.remove("a");

      const isWritten = await storage.compareAndSwap(1, recordOf("a", { phase: "live" }));

      expect(isWritten).toBe(false);
      expect(await storage.load("a")).toBeUndefined();
    });

    test("a removed record is gone", async () => {
      await storage.insert(recordOf("a"));

      expect(await storage.remove("a")).toBe(true);

      expect(await storage.load("a")).toBeUndefined();
    });

    test.for([
      { name: "the same generation", generation: 1, isRemoved: true },
      { name: "another generation", generation: 2, isRemoved: false },
      { name: "an older use", generation: 1, untouchedSinceMs: 101, isRemoved: true },
      { name: "a use at that time", generation: 1, untouchedSinceMs: 100, isRemoved: false },
      { name: "a later use", generation: 1, untouchedSinceMs: 99, isRemoved: false },
    ])("a conditional removal meets $name", async ({ generation, untouchedSinceMs, isRemoved }) => {
      await storage.insert(recordOf("a", { updatedAtMs: 100 }));

      const outcome = await storage.removeIf("a", generation, untouchedSinceMs);

      expect(outcome).toBe(isRemoved);
      expect(await storage.count()).toBe(isRemoved ? 0 : 1);
    });

    test("records are listed when one of the two limits is passed", async () => {
      await storage.insert(recordOf("fresh", { createdAtMs: 50, updatedAtMs: 100 }));
      await storage.insert(recordOf("idle", { createdAtMs: 50, updatedAtMs: 99 }));
      await storage.insert(recordOf("old", { createdAtMs: 49, updatedAtMs: 500 }));

      const expired = await storage.listExpired({ updatedBeforeMs: 100, createdBeforeMs: 50 });

      expect(expired.map(({ id }) => id).toSorted()).toEqual(["idle", "old"]);
      expect(await storage.list()).toHaveLength(3);
    });

    test("what was given and what was handed out cannot change what is stored", async () => {
      const metadata: Record<string, string> = { key: "before" };
      const given = { ...recordOf("a"), metadata };
      await storage.insert(given);

      metadata["key"] = "after";

      expect((await storage.load("a"))?.metadata).toEqual({ key: "before" });
    });

    test("of any number of conditional writes at one generation, exactly one goes through", async () => {
      await fc.assert(
        fc.asyncProperty(fc.uuid(), fc.integer({ min: 2, max: 8 }), async (id, writers) => {
          await storage.insert(recordOf(id));

          const outcomes = await Promise.all(
            Array.from({ length: writers }, async (_, n) =>
              storage.compareAndSwap(1, recordOf(id, { updatedAtMs: n })),
            ),
          );

          expect(outcomes.filter(Boolean)).toHaveLength(1);
          expect((await storage.load(id))?.updatedAtMs).toBe(outcomes.indexOf(true));
        }),
      );
    });

    test("a closed storage refuses, and closing again is harmless", async () => {
      await storage.insert(recordOf("a"));

      await storage.close();
      await storage.close();

      await expect(storage.load("a")).rejects.toMatchObject({ code: "store_unavailable" });
      await expect(storage.insert(recordOf("b"))).rejects.toMatchObject({
        code: "store_unavailable",
      });
    });
  });
}

/** The storage with some of its methods replaced, to fail or to interfere. */
export function withFaults(
  storage: SessionStorage,
  faults: Partial<SessionStorage>,
): SessionStorage {
  return {
    load: async (id) => storage.load(id),
    touch: async (id, atMs) => storage.touch(id, atMs),
    insert: async (record) => storage.insert(record),
    store: async (record) => storage.store(record),
    compareAndSwap: async (expected, next) => storage.compareAndSwap(expected, next),
    remove: async (id) => storage.remove(id),
    removeIf: async (id, generation, since) => storage.removeIf(id, generation, since),
    list: async () => storage.list(),
    listExpired: async (limits) => storage.listExpired(limits),
    count: async () => storage.count(),
    close: async () => storage.close(),
    ...faults,
  };
}

function recordOf(id: string, change: Partial<SessionRecord> = {}): SessionRecord {
  return {
    id: parseSessionId(id),
    phase: "placeholder",
    generation: 1,
    createdAtMs: 0,
    updatedAtMs: 0,
    metadata: { "vmcp.backend.ids": "github" },
    ...change,
  };
}
