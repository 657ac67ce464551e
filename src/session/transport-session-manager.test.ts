import { afterEach, expect, test, vi } from "vitest";
import { parseSessionId } from "../domain/ids.ts";
import type { SessionId } from "../domain/ids.ts";
import { SILENT_LOGGER } from "../domain/logger.ts";
import type { SessionRecord } from "./session-record.ts";
import { withFaults } from "./session-storage.contract.ts";
import { MemoryStorage } from "./stores/memory-storage.ts";
import { TransportSessionManager } from "./transport-session-manager.ts";
import type { TransportSessionManagerOptions } from "./transport-session-manager.ts";

const IDLE_TTL_MS = 1_000;

const opened: TransportSessionManager[] = [];

afterEach(async () => {
  for (const manager of opened.splice(0)) await manager.stop();
  vi.useRealTimers();
});

test("a session that was added is found, as a placeholder made now [seed 35]", async () => {
  const { manager } = open({ nowMs: 42 });

  await manager.addWithId("a");

  expect(await manager.get("a")).toEqual(recordOf("a", { createdAtMs: 42, updatedAtMs: 42 }));
  expect(await manager.get("b")).toBeUndefined();
});

test("adding an id that is there is refused [seed 36]", async () => {
  const { manager } = open();
  await manager.addWithId("a");

  const again = manager.addWithId("a");
  const record = manager.addSession(recordOf("a"));

  await expect(again).rejects.toMatchObject({ code: "session_exists" });
  await expect(record).rejects.toMatchObject({ code: "session_exists" });
});

test.for(["", "with space", "line\nbreak"])("adding the id %j is refused", async (id) => {
  const { manager } = open();

  await expect(manager.addWithId(id)).rejects.toMatchObject({ code: "invalid_argument" });

  expect(await manager.count()).toBe(0);
});

test("replacing by nothing is refused [seed 30]", async () => {
  const { manager } = open();

  const replacing = manager.replaceSession(undefined);

  await expect(replacing).rejects.toThrow("cannot be undefined");
  await expect(manager.addSession(undefined)).rejects.toThrow("cannot be undefined");
});

test("replacing a session with an empty id is refused [seed 31]", async () => {
  const { manager } = open();
  // An id of this type cannot be empty; the guard is for callers without types.
  const record = { ...recordOf("a"), id: "" as SessionId };

  const replacing = manager.replaceSession(record);

  await expect(replacing).rejects.toThrow("cannot be empty");
  await expect(manager.addSession(record)).rejects.toThrow("cannot be empty");
});

test("replacing an id that is not there inserts it [seed 32]", async () => {
  const { manager } = open();

  await manager.replaceSession(recordOf("a", { phase: "live" }));

  expect((await manager.peek("a"))?.phase).toBe("live");
});

test("replacing puts a session of another kind in the place of one [seed 33]", async () => {
  const { manager } = open();
  await manager.addWithId("a");

  await manager.replaceSession(recordOf("a", { phase: "live", metadata: { backend: "github" } }));

  expect(await manager.peek("a")).toMatchObject({
    phase: "live",
    metadata: { backend: "github" },
    generation: 2,
  });
  expect(await manager.count()).toBe(1);
});

test("a conditional replacement fails when someone was there first", async () => {
  const { manager } = open();
  await manager.addWithId("a");
  const seen = await found(manager, "a");

  const first = await manager.replaceIf(seen, { phase: "terminated", metadata: {} });
  const second = await manager.replaceIf(seen, { phase: "live", metadata: {} });

  expect([first, second]).toEqual([true, false]);
  expect((await manager.peek("a"))?.phase).toBe("terminated");
});

test("a lookup between reading and writing does not make the write fail", async () => {
  const { manager, advance } = open();
  await manager.addWithId("a");
  const seen = await found(manager, "a");
  advance(10);
  await manager.get("a");

  const isReplaced = await manager.replaceIf(seen, { phase: "live", metadata: {} });

  expect(isReplaced).toBe(true);
  expect(await manager.peek("a")).toMatchObject({ phase: "live", updatedAtMs: 10 });
});

test("a deleted session is gone, and deleting an unknown one is no error [seed 34]", async () => {
  const { manager } = open();
  await manager.addWithId("a");

  await manager.delete("a");
  await manager.delete("a");

  expect(await manager.get("a")).toBeUndefined();
});

test("a conditional deletion spares what was replaced", async () => {
  const { manager } = open();
  await manager.addWithId("a");
  const seen = await found(manager, "a");
  await manager.replaceSession(recordOf("a", { phase: "live" }));

  const isDeleted = await manager.deleteIf(seen);

  expect(isDeleted).toBe(false);
  expect(await manager.count()).toBe(1);
});

test("a lookup moves the time of the last use, a peek does not [seed 37]", async () => {
  const { manager, advance } = open();
  await manager.addWithId("a");

  advance(10);
  const peeked = await manager.peek("a");
  const got = await manager.get("a");

  expect(peeked?.updatedAtMs).toBe(0);
  expect(got?.updatedAtMs).toBe(10);
});

test("range shows every session until it is told to stop", async () => {
  const { manager } = open();
  for (const id of ["a", "b", "c"]) await manager.addWithId(id);
  const all: string[] = [];
  const some: string[] = [];

  await manager.range(({ id }) => all.push(id) > 0);
  await manager.range(({ id }) => some.push(id) < 2);

  expect(all.toSorted()).toEqual(["a", "b", "c"]);
  expect(some).toHaveLength(2);
});

test("a cleanup removes what expired and nothing else, and tells of it [seed 38]", async () => {
  const expired: SessionRecord[] = [];
  const { manager, advance } = open({ onExpired: async (record) => void expired.push(record) });
  await manager.addWithId("old");
  advance(IDLE_TTL_MS);
  await manager.addWithId("new");
  advance(1);

  const removed = await manager.cleanup();

  expect(removed).toBe(1);
  expect(expired.map(({ id }) => id)).toEqual(["old"]);
  expect(await manager.peek("old")).toBeUndefined();
  expect(await manager.peek("new")).toBeDefined();
});

test("a session that was looked up in time does not expire", async () => {
  const { manager, advance } = open();
  await manager.addWithId("a");
  advance(IDLE_TTL_MS);
  await manager.get("a");
  advance(IDLE_TTL_MS);

  expect(await manager.cleanup()).toBe(0);
});

test("an idle record stays while its session is in use", async () => {
  let isActive = true;
  const { manager, advance } = open({ isActive: () => isActive });
  await manager.addWithId("a");
  advance(IDLE_TTL_MS + 1);

  const whileActive = await manager.cleanup();
  isActive = false;
  const afterwards = await manager.cleanup();

  expect([whileActive, afterwards]).toEqual([0, 1]);
});

test("a record whose session was never used goes earlier than the others", async () => {
  const { manager, advance } = open({ unusedTtlMs: 100, isUnused: (id) => id === "unused" });
  await manager.addWithId("unused");
  await manager.addWithId("used");
  advance(100);
  const before = await manager.cleanup();
  advance(1);

  const after = await manager.cleanup();

  expect([before, after]).toEqual([0, 1]);
  expect(await manager.peek("used")).toBeDefined();
});

test("the worker looks as often as the shortest lifetime asks for", async () => {
  vi.useFakeTimers();
  const { manager, advance } = open({ unusedTtlMs: 100, isUnused: () => true });
  await manager.addWithId("unused");
  advance(101);

  await vi.advanceTimersByTimeAsync(50);

  expect(await manager.count()).toBe(0);
});

test("a record past its absolute lifetime goes even while its session is in use", async () => {
  const { manager, advance } = open({ absoluteTtlMs: 5_000, isActive: () => true });
  await manager.addWithId("a");
  for (let step = 0; step < 5; step += 1) {
    advance(1_000);
    await manager.get("a");
  }
  const before = await manager.cleanup();
  advance(1);

  const after = await manager.cleanup();

  expect([before, after]).toEqual([0, 1]);
});

test("one session that does not close cleanly does not keep the others", async () => {
  const warnings: string[] = [];
  const { manager, advance } = open({
    logger: { ...SILENT_LOGGER, warn: (message) => void warnings.push(message) },
    onExpired: async ({ id }) => {
      if (id === "bad") throw new Error("refused");
    },
  });
  for (const id of ["bad", "good"]) await manager.addWithId(id);
  advance(IDLE_TTL_MS + 1);

  const removed = await manager.cleanup();

  expect(removed).toBe(1);
  expect(await manager.count()).toBe(0);
  expect(warnings).toEqual(["could not remove an expired session"]);
});

test("the worker cleans up every half of the idle time", async () => {
  vi.useFakeTimers();
  const { manager, advance } = open();
  await manager.addWithId("a");
  advance(IDLE_TTL_MS + 1);

  await vi.advanceTimersByTimeAsync(IDLE_TTL_MS / 2 - 1);
  const before = await manager.count();
  await vi.advanceTimersByTimeAsync(1);

  expect(before).toBe(1);
  expect(await manager.count()).toBe(0);
});

test("a failing storage does not end the worker", async () => {
  vi.useFakeTimers();
  const storage = new MemoryStorage();
  let failures = 1;
  const { manager, advance } = open({
    storage: withFaults(storage, {
      async listExpired(limits) {
        failures -= 1;
        if (failures >= 0) throw new Error("store down");
        return storage.listExpired(limits);
      },
    }),
  });
  await manager.addWithId("a");
  advance(IDLE_TTL_MS + 1);

  await vi.advanceTimersByTimeAsync(IDLE_TTL_MS / 2);
  const afterFailure = await manager.count();
  await vi.advanceTimersByTimeAsync(IDLE_TTL_MS / 2);

  expect(afterFailure).toBe(1);
  expect(await manager.count()).toBe(0);
});

test("after stop no cleanup runs and no timer is left [seed 39]", async () => {
  vi.useFakeTimers();
  const expired: SessionRecord[] = [];
  const { manager, advance } = open({ onExpired: async (record) => void expired.push(record) });
  await manager.addWithId("a");
  advance(IDLE_TTL_MS + 1);

  await manager.stop();
  await vi.advanceTimersByTimeAsync(10 * IDLE_TTL_MS);

  expect(expired).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
});

test.for([
  { idleTtlMs: 0 },
  { idleTtlMs: -1 },
  { absoluteTtlMs: 0 },
  { unusedTtlMs: 0 },
  { idleTtlMs: NaN },
])("a lifetime of %j is refused", (lifetimes) => {
  expect(() => open(lifetimes)).toThrow(expect.objectContaining({ code: "invalid_argument" }));
});

interface Opened {
  readonly manager: TransportSessionManager;
  readonly advance: (ms: number) => void;
}

function open(options: Partial<TransportSessionManagerOptions> & { nowMs?: number } = {}): Opened {
  let { nowMs = 0 } = options;
  const manager = new TransportSessionManager({
    storage: new MemoryStorage(),
    idleTtlMs: IDLE_TTL_MS,
    clock: () => nowMs,
    logger: SILENT_LOGGER,
    ...options,
  });
  opened.push(manager);
  return {
    manager,
    advance: (ms) => {
      nowMs += ms;
    },
  };
}

async function found(manager: TransportSessionManager, id: string): Promise<SessionRecord> {
  const record = await manager.peek(id);
  if (record === undefined) throw new Error(`no record ${id}`);
  return record;
}

function recordOf(id: string, change: Partial<SessionRecord> = {}): SessionRecord {
  return {
    id: parseSessionId(id),
    phase: "placeholder",
    generation: 1,
    createdAtMs: 0,
    updatedAtMs: 0,
    metadata: {},
    ...change,
  };
}
