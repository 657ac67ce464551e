import { afterEach, describe, expect, test, vi } from "vitest";
import { VmcpError } from "../domain/errors.ts";
import { ANONYMOUS } from "../domain/identity.ts";
import { parseBackendName, parseSessionId } from "../domain/ids.ts";
import { SILENT_LOGGER } from "../domain/logger.ts";
import { toToolCallResult } from "../mcp/results.ts";
import type { SessionBackend } from "./backend-connection.ts";
import { SessionManager } from "./session-manager.ts";
import type { SessionManagerOptions } from "./session-manager.ts";
import { TERMINATED_KEY, TERMINATED_VALUE } from "./session-phases.ts";
import type { SessionStorage } from "./session-storage.ts";
import { withFaults } from "./session-storage.contract.ts";
import type { MakeSessionOptions, MultiSession, MultiSessionFactory } from "./session.ts";
import { MemoryStorage } from "./stores/memory-storage.ts";

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const IDLE_TTL_MS = 1_000;
const REQUEST = {
  identity: ANONYMOUS,
  client: { revision: "2025-11-25", capabilities: {}, info: { name: "test", version: "1" } },
};

const opened: SessionManager[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map(async (manager) => manager.close()));
  vi.useRealTimers();
});

describe("generate", () => {
  test("hands out a version 4 UUID and stores a placeholder under it [seed 1]", async () => {
    const { manager, storage } = open();

    const id = await manager.generate();

    expect(id).toMatch(UUID_V4);
    expect(await storage.load(id)).toMatchObject({ id, phase: "placeholder", metadata: {} });
    expect(manager.sessionCount).toBe(1);
  });

  test("resolves with nothing when the storage keeps failing [seed 2]", async () => {
    let attempts = 0;
    const { manager } = open({
      storage: withFaults(new MemoryStorage(), {
        async insert() {
          attempts += 1;
          throw new Error("store down");
        },
      }),
    });

    const id = await manager.generate();

    expect(id).toBe("");
    expect(attempts).toBe(2);
    expect(manager.sessionCount).toBe(0);
  });

  test("tries once more, with another id, when the storage fails", async () => {
    const memory = new MemoryStorage();
    const tried: string[] = [];
    const { manager } = open({
      storage: withFaults(memory, {
        async insert(record) {
          tried.push(record.id);
          if (tried.length === 1) throw new Error("store down");
          return memory.insert(record);
        },
      }),
    });

    const id = await manager.generate();

    expect(tried).toHaveLength(2);
    expect(tried[1]).toBe(id);
    expect(tried[0]).not.toBe(id);
  });

  test("never hands out an id twice [seed 3]", async () => {
    const { manager } = open({ maxSessions: 1_000 });

    const ids = await Promise.all(Array.from({ length: 500 }, async () => manager.generate()));

    expect(new Set(ids).size).toBe(500);
  });

  test("refuses when there is no room, counting placeholders and sessions", async () => {
    const { manager } = open({ maxSessions: 2 });
    await manager.createSession(await manager.generate(), REQUEST);
    const [second, third] = await Promise.allSettled([manager.generate(), manager.generate()]);

    expect(second).toMatchObject({ status: "fulfilled" });
    expect(third).toMatchObject({
      status: "rejected",
      reason: { code: "too_many_sessions", retryAfterSeconds: 30 },
    });
  });

  test("has room again when a session or placeholder is terminated", async () => {
    const { manager } = open({ maxSessions: 1 });
    const first = await manager.generate();
    await manager.terminate(first);
    const second = await manager.generate();
    await manager.createSession(second, REQUEST);
    await manager.terminate(second);

    expect(await manager.generate()).not.toBe("");
  });

  test("marks of terminated placeholders do not pile up", async () => {
    const { manager, storage } = open({ maxSessions: 3 });

    for (let n = 0; n < 10; n += 1) await manager.terminate(await manager.generate());

    expect(await storage.count()).toBe(3);
  });
});

describe("createSession", () => {
  test("resolves with the session of that id, live from then on [seed 4]", async () => {
    const { manager, storage, factory } = open();
    const id = await manager.generate();

    const session = await manager.createSession(id, REQUEST);

    expect(session.id).toBe(id);
    expect(manager.getMultiSession(id)).toBe(session);
    expect(await storage.load(id)).toMatchObject({
      phase: "live",
      metadata: { "vmcp.backend.ids": "github" },
    });
    expect(factory.made).toHaveLength(1);
  });

  test("gives the factory the identity, the client and every backend", async () => {
    const backends = [backend("github"), backend("files")];
    const { manager, factory } = open({ backends: () => backends, drainDeadlineMs: 77 });
    const identity = { kind: "verified", issuer: "https://issuer.example", subject: "u1" } as const;

    await manager.createSession(await manager.generate(), { ...REQUEST, identity });

    expect(factory.requests).toMatchObject([
      { identity, backends, options: { client: REQUEST.client, drainDeadlineMs: 77 } },
    ]);
  });

  test("refuses an empty id [seed 5]", async () => {
    const { manager, factory } = open();

    const creating = manager.createSession("", REQUEST);

    await expect(creating).rejects.toThrow("session ID must not be empty");
    expect(factory.requests).toEqual([]);
  });

  test("says what the factory failed with, and the placeholder can be tried again [seed 6]", async () => {
    const { manager, storage, factory } = open();
    const id = await manager.generate();
    factory.next = async () => {
      throw new VmcpError("backend_timeout", "github did not answer", { backend: "github" });
    };

    const creating = manager.createSession(id, REQUEST);

    await expect(creating).rejects.toMatchObject({
      code: "backend_timeout",
      message: "failed to create multi-session: github did not answer",
      cause: { code: "backend_timeout", backend: "github" },
    });
    expect(await storage.load(id)).toMatchObject({ phase: "placeholder", generation: 1 });
    factory.next = undefined;
    await expect(manager.createSession(id, REQUEST)).resolves.toMatchObject({ id });
  });

  test("opens nothing for a placeholder that was deleted [seed 7]", async () => {
    const { manager, storage, factory } = open();
    const id = await manager.generate();
    await storage.remove(id);

    const creating = manager.createSession(id, REQUEST);

    await expect(creating).rejects.toMatchObject({
      code: "session_not_found",
      message: expect.stringContaining("not found"),
    });
    expect(factory.requests).toEqual([]);
    expect(manager.sessionCount).toBe(0);
  });

  test("opens nothing for a placeholder that was terminated [seed 8]", async () => {
    const { manager, factory } = open();
    const id = await manager.generate();
    await manager.terminate(id);

    const creating = manager.createSession(id, REQUEST);

    await expect(creating).rejects.toMatchObject({
      code: "session_terminated",
      message: expect.stringContaining("was terminated before backend connections"),
    });
    expect(factory.requests).toEqual([]);
    expect(manager.sessionCount).toBe(0);
  });

  test("terminated while backends connect, it fails and closes what was made [seed 9]", async () => {
    const { manager, storage, factory } = open();
    const id = await manager.generate();
    const gate = factory.holdNext();
    const creating = manager.createSession(id, REQUEST);
    await gate.reached;

    await manager.terminate(id);
    gate.open();

    await expect(creating).rejects.toMatchObject({
      code: "session_terminated",
      message: expect.stringContaining("was terminated during backend init"),
    });
    expect(factory.made.map(({ closes }) => closes)).toEqual([1]);
    expect(manager.getMultiSession(id)).toBeUndefined();
    expect(await storage.load(id)).toMatchObject({ phase: "terminated" });
    expect(manager.sessionCount).toBe(0);
  });

  test("terminated while backends connect, it stops connecting at once", async () => {
    const { manager, factory } = open();
    const id = await manager.generate();
    const started = deferred();
    factory.next = async (_session, { signal }) => {
      started.resolve();
      return rejectOnAbort(signal);
    };
    const creating = manager.createSession(id, REQUEST);
    const outcome = creating.catch((error: unknown) => error);
    await started.promise;

    await manager.terminate(id);

    expect(await outcome).toMatchObject({
      code: "session_terminated",
      message: expect.stringContaining("was terminated during backend init"),
    });
  });

  test("deleted while backends connect, it fails and closes what was made", async () => {
    const { manager, storage, factory } = open();
    const id = await manager.generate();
    const gate = factory.holdNext();
    const creating = manager.createSession(id, REQUEST);
    await gate.reached;

    await storage.remove(id);
    gate.open();

    await expect(creating).rejects.toMatchObject({
      code: "session_not_found",
      message: expect.stringContaining("disappeared during backend init"),
    });
    expect(factory.made.map(({ closes }) => closes)).toEqual([1]);
    expect(await storage.load(id)).toBeUndefined();
  });

  test("a placeholder that only changed its metadata still becomes live", async () => {
    const { manager, storage, factory } = open();
    const id = await manager.generate();
    const gate = factory.holdNext();
    const creating = manager.createSession(id, REQUEST);
    await gate.reached;
    const record = await storage.load(id);
    if (record !== undefined) await storage.store({ ...record, metadata: { note: "x" } });

    gate.open();

    await expect(creating).resolves.toMatchObject({ id });
    expect(await storage.load(id)).toMatchObject({ phase: "live", generation: 3 });
  });

  test("a store that fails at the last step leaves nothing open", async () => {
    const { manager, factory } = open({
      storage: withFaults(new MemoryStorage(), {
        async compareAndSwap() {
          throw new Error("store down");
        },
      }),
    });

    const creating = manager.createSession(await manager.generate(), REQUEST);

    await expect(creating).rejects.toMatchObject({
      code: "store_unavailable",
      message: "failed to replace placeholder: store down",
    });
    expect(factory.made.map(({ closes }) => closes)).toEqual([1]);
  });

  test("a write that failed but happened leaves no record behind", async () => {
    const memory = new MemoryStorage();
    const { manager } = open({
      storage: withFaults(memory, {
        async compareAndSwap(expected, next) {
          await memory.compareAndSwap(expected, next);
          throw new Error("connection lost");
        },
      }),
    });
    const id = await manager.generate();

    await expect(manager.createSession(id, REQUEST)).rejects.toThrow("connection lost");

    expect(await memory.load(id)).toBeUndefined();
  });

  test("a store that refuses every write ends the attempt", async () => {
    const { manager, factory } = open({
      storage: withFaults(new MemoryStorage(), { compareAndSwap: async () => false }),
    });

    const creating = manager.createSession(await manager.generate(), REQUEST);

    await expect(creating).rejects.toMatchObject({ code: "store_unavailable" });
    expect(factory.made.map(({ closes }) => closes)).toEqual([1]);
  });

  test("a session is made once, however often it is asked for", async () => {
    const { manager, factory } = open();
    const id = await manager.generate();
    const gate = factory.holdNext();
    const first = manager.createSession(id, REQUEST);
    await gate.reached;

    const second = manager.createSession(id, REQUEST);
    gate.open();

    await expect(second).rejects.toMatchObject({ code: "session_exists" });
    await expect(first).resolves.toMatchObject({ id });
    await expect(manager.createSession(id, REQUEST)).rejects.toMatchObject({
      code: "session_exists",
    });
    expect(factory.made.map(({ closes }) => closes)).toEqual([0]);
  });

  test("the caller's signal ends the attempt and leaves no listener behind", async () => {
    const { manager, factory } = open();
    const caller = new AbortController();
    const listeners = countListeners(caller.signal);
    const started = deferred();
    factory.next = async (_session, { signal }) => {
      started.resolve();
      return rejectOnAbort(signal);
    };
    const creating = manager.createSession(await manager.generate(), {
      ...REQUEST,
      signal: caller.signal,
    });
    const outcome = creating.catch((error: unknown) => error);
    await started.promise;

    caller.abort(new VmcpError("cancelled", "the client went away"));

    expect(await outcome).toMatchObject({
      code: "cancelled",
      message: "failed to create multi-session: the client went away",
    });
    expect(listeners.count()).toBe(0);
  });

  test("a signal that has aborted already opens nothing", async () => {
    const { manager, factory } = open();
    const id = await manager.generate();

    const creating = manager.createSession(id, { ...REQUEST, signal: AbortSignal.abort() });

    await expect(creating).rejects.toThrow("failed to create multi-session");
    expect(factory.requests).toEqual([]);
  });

  test("a placeholder of this storage that another process made can be filled here", async () => {
    const storage = new MemoryStorage();
    const { manager: other } = open({ storage });
    const { manager } = open({ storage });
    const id = await other.generate();

    await expect(manager.createSession(id, REQUEST)).resolves.toMatchObject({ id });

    await expect(other.createSession(id, REQUEST)).rejects.toMatchObject({
      code: "session_exists",
    });
  });
});

describe("validate", () => {
  test("refuses an empty id [seed 10]", async () => {
    const { manager } = open();

    await expect(manager.validate("")).rejects.toMatchObject({
      code: "invalid_argument",
      message: "empty session ID",
    });
  });

  test("does not know an unknown id [seed 11]", async () => {
    const { manager } = open();

    await expect(manager.validate("unknown")).rejects.toMatchObject({
      code: "session_not_found",
      message: "session not found",
    });
  });

  test("a placeholder and a live session are not terminated [seed 12]", async () => {
    const { manager } = open();
    const id = await manager.generate();

    const asPlaceholder = await manager.validate(id);
    await manager.createSession(id, REQUEST);
    const asSession = await manager.validate(id);

    expect([asPlaceholder, asSession]).toEqual([{ isTerminated: false }, { isTerminated: false }]);
  });

  test("a terminated placeholder is terminated, a terminated session unknown [seed 13]", async () => {
    const { manager } = open();
    const placeholder = await manager.generate();
    const live = await manager.generate();
    await manager.createSession(live, REQUEST);

    await manager.terminate(placeholder);
    await manager.terminate(live);

    expect(await manager.validate(placeholder)).toEqual({ isTerminated: true });
    await expect(manager.validate(live)).rejects.toMatchObject({ code: "session_not_found" });
  });

  test("asking keeps a session alive", async () => {
    const { manager, advance } = open();
    const id = await manager.generate();
    await manager.createSession(id, REQUEST);
    advance(IDLE_TTL_MS);
    await manager.validate(id);
    advance(IDLE_TTL_MS);

    await manager.closeExpired();

    expect(await manager.validate(id)).toEqual({ isTerminated: false });
  });
});

describe("terminate", () => {
  test("refuses an empty id [seed 14]", async () => {
    const { manager } = open();

    await expect(manager.terminate("")).rejects.toMatchObject({ code: "invalid_argument" });
  });

  test("an unknown id is no error and always allowed [seed 15]", async () => {
    const { manager } = open();

    expect(await manager.terminate("unknown")).toEqual({ isNotAllowed: false });
  });

  test("a live session is closed once [seed 16]", async () => {
    const { manager, factory } = open();
    const id = await manager.generate();
    await manager.createSession(id, REQUEST);

    await Promise.all([manager.terminate(id), manager.terminate(id)]);
    await manager.terminate(id);

    expect(factory.made.map(({ closes }) => closes)).toEqual([1]);
  });

  test("those who asked hear of a session's end once, until they no longer want to", async () => {
    const { manager } = open();
    const heard: string[] = [];
    const listener = manager.onSessionClosed((id) => void heard.push(id));
    const [first, second] = [await manager.generate(), await manager.generate()];
    for (const id of [first, second]) await manager.createSession(id, REQUEST);

    await manager.terminate(first);
    await manager.terminate(first);
    listener[Symbol.dispose]();
    await manager.terminate(second);

    expect(heard).toEqual([first]);
  });

  test("a live session leaves nothing in the storage [seed 17]", async () => {
    const closed: string[] = [];
    const { manager, storage } = open({ onSessionClosed: (id) => void closed.push(id) });
    const id = await manager.generate();
    await manager.createSession(id, REQUEST);

    const outcome = await manager.terminate(id);

    expect(outcome).toEqual({ isNotAllowed: false });
    expect(await storage.load(id)).toBeUndefined();
    expect(manager.getMultiSession(id)).toBeUndefined();
    expect(manager.sessionCount).toBe(0);
    expect(closed).toEqual([id]);
  });

  test("a live session is closed before its record goes", async () => {
    const { manager, storage, factory } = open();
    const id = await manager.generate();
    await manager.createSession(id, REQUEST);
    const closing = factory.holdClose(id);

    const terminating = manager.terminate(id);
    await closing.reached;
    const recordMeanwhile = await storage.load(id);
    closing.open();
    await terminating;

    expect(recordMeanwhile).toMatchObject({ phase: "live" });
    expect(await storage.load(id)).toBeUndefined();
  });

  test("a session that does not close cleanly is forgotten all the same", async () => {
    const warnings: string[] = [];
    const { manager, factory } = open({
      logger: { ...SILENT_LOGGER, warn: (message) => void warnings.push(message) },
    });
    const id = await manager.generate();
    await manager.createSession(id, REQUEST);
    factory.failClose(id);

    await manager.terminate(id);

    expect(warnings).toEqual(["a session did not close cleanly"]);
    expect(manager.sessionCount).toBe(0);
  });

  test("a record that cannot be deleted is reported, with the session closed", async () => {
    const memory = new MemoryStorage();
    const { manager, factory } = open({
      storage: withFaults(memory, {
        async remove() {
          throw new Error("store down");
        },
      }),
    });
    const id = await manager.generate();
    await manager.createSession(id, REQUEST);

    const terminating = manager.terminate(id);

    await expect(terminating).rejects.toMatchObject({ code: "store_unavailable" });
    expect(factory.made.map(({ closes }) => closes)).toEqual([1]);
    expect(manager.getMultiSession(id)).toBeUndefined();
    await manager.terminate(id);
    expect(await memory.load(id)).toBeUndefined();
  });

  test("a placeholder stays, marked as terminated [seed 18]", async () => {
    const { manager, storage } = open();
    const id = await manager.generate();

    await manager.terminate(id);
    await manager.terminate(id);

    expect(await storage.load(id)).toMatchObject({
      phase: "terminated",
      metadata: { [TERMINATED_KEY]: TERMINATED_VALUE },
      generation: 2,
    });
    expect(TERMINATED_VALUE).toBe("true");
  });

  test("a placeholder that cannot be marked is deleted [seed 19]", async () => {
    const memory = new MemoryStorage();
    const { manager } = open({
      storage: withFaults(memory, {
        async compareAndSwap() {
          throw new Error("upsert refused");
        },
      }),
    });
    const id = await manager.generate();

    await manager.terminate(id);

    expect(await memory.load(id)).toBeUndefined();
    expect(manager.sessionCount).toBe(0);
  });

  test("a placeholder that can be neither marked nor deleted is reported [seed 20]", async () => {
    const { manager } = open({
      storage: withFaults(new MemoryStorage(), {
        async compareAndSwap() {
          throw new Error("upsert refused");
        },
        async removeIf() {
          throw new Error("delete refused");
        },
      }),
    });

    const terminating = manager.terminate(await manager.generate());

    await expect(terminating).rejects.toMatchObject({
      code: "store_unavailable",
      message: expect.stringMatching(/upsertErr=upsert refused deleteErr=delete refused/),
    });
  });

  test("a placeholder that turns live while it is being marked is closed", async () => {
    const memory = new MemoryStorage();
    let meanwhile: (() => Promise<unknown>) | undefined;
    const { manager, factory } = open({
      storage: withFaults(memory, {
        async load(id) {
          const record = await memory.load(id);
          const run = meanwhile;
          meanwhile = undefined;
          await run?.();
          return record;
        },
      }),
    });
    const id = await manager.generate();
    meanwhile = async () => manager.createSession(id, REQUEST);

    await manager.terminate(id);

    expect(factory.made.map(({ closes }) => closes)).toEqual([1]);
    expect(await memory.load(id)).toBeUndefined();
    expect(manager.sessionCount).toBe(0);
  });
});

describe("getMultiSession and whenReady", () => {
  test("an unknown id has no session [seed 21]", async () => {
    const { manager } = open();

    expect(manager.getMultiSession("unknown")).toBeUndefined();
    await expect(manager.whenReady("unknown")).rejects.toMatchObject({
      code: "session_not_found",
    });
  });

  test("a placeholder has no session [seed 22]", async () => {
    const { manager } = open();

    expect(manager.getMultiSession(await manager.generate())).toBeUndefined();
  });

  test("a session that was made is there, with its tools [seed 23]", async () => {
    const { manager } = open();
    const id = await manager.generate();
    await manager.createSession(id, REQUEST);

    const session = manager.getMultiSession(id);

    expect(session?.tools.map(({ name }) => name)).toEqual(["echo"]);
  });

  test("live sessions are those that can be called, neither placeholders nor closing ones", async () => {
    const { manager, factory } = open();
    await manager.generate();
    const closing = await manager.generate();
    const live = await manager.generate();
    await manager.createSession(closing, REQUEST);
    const session = await manager.createSession(live, REQUEST);
    const gate = factory.holdClose(closing);
    const terminating = manager.terminate(closing);
    await gate.reached;

    const listed = manager.liveSessions();
    gate.open();
    await terminating;

    expect(listed).toEqual([session]);
  });

  test("looking a session up counts as use", async () => {
    const { manager, factory } = open();
    const id = await manager.generate();
    await manager.createSession(id, REQUEST);

    manager.getMultiSession(id);
    await manager.whenReady(id);

    expect(factory.made[0]?.touches).toBe(2);
  });

  test("a request that comes before or during creation waits for the session", async () => {
    const { manager, factory } = open();
    const id = await manager.generate();
    const early = manager.whenReady(id);
    const gate = factory.holdNext();
    const creating = manager.createSession(id, REQUEST);
    await gate.reached;
    const late = manager.whenReady(id);

    gate.open();

    const session = await creating;
    expect(await early).toBe(session);
    expect(await late).toBe(session);
  });

  test("a request that waits hears why creation failed", async () => {
    const { manager, factory } = open();
    const id = await manager.generate();
    factory.next = async () => {
      throw new Error("no backend");
    };
    const waiting = manager.whenReady(id);

    const creating = manager.createSession(id, REQUEST);

    await expect(waiting).rejects.toThrow("failed to create multi-session: no backend");
    await expect(creating).rejects.toThrow("no backend");
  });

  test("a request that waits hears of the termination", async () => {
    const { manager } = open();
    const id = await manager.generate();
    const waiting = manager.whenReady(id);
    const outcome = waiting.catch((error: unknown) => error);

    await manager.terminate(id);

    expect(await outcome).toMatchObject({ code: "session_terminated" });
  });

  test("a request that waits gives up with its signal, leaving the others waiting", async () => {
    const { manager } = open();
    const id = await manager.generate();
    const caller = new AbortController();
    const listeners = countListeners(caller.signal);
    const impatient = manager.whenReady(id, caller.signal);
    const patient = manager.whenReady(id);

    caller.abort(new VmcpError("cancelled", "gone"));

    await expect(impatient).rejects.toMatchObject({ code: "cancelled" });
    expect(listeners.count()).toBe(0);
    const session = await manager.createSession(id, REQUEST);
    expect(await patient).toBe(session);
  });
});

describe("getAdaptedTools", () => {
  test("an unknown id and a placeholder have none [seed 24]", async () => {
    const { manager } = open();
    const placeholder = await manager.generate();

    for (const id of ["unknown", placeholder]) {
      expect(() => manager.getAdaptedTools(id)).toThrow(
        expect.objectContaining({
          code: "session_not_found",
          message: expect.stringContaining("not found or not a multi-session"),
        }),
      );
    }
  });

  test("a session's tools call the session", async () => {
    const { manager } = open();
    const id = await manager.generate();
    await manager.createSession(id, REQUEST);

    const results = await Promise.all(
      manager.getAdaptedTools(id).map(async (tool) => tool.handler({ arguments: { text: "hi" } })),
    );

    expect(results).toMatchObject([{ content: [{ type: "text", text: `${id} echo "hi"` }] }]);
  });
});

describe("expiry", () => {
  test("an idle session is closed and forgotten", async () => {
    const closed: string[] = [];
    const { manager, storage, factory, advance } = open({
      onSessionClosed: (id) => void closed.push(id),
    });
    const id = await manager.generate();
    await manager.createSession(id, REQUEST);
    advance(IDLE_TTL_MS + 1);

    await manager.closeExpired();

    expect(factory.made.map(({ closes }) => closes)).toEqual([1]);
    expect(await storage.count()).toBe(0);
    expect(manager.sessionCount).toBe(0);
    expect(closed).toEqual([id]);
  });

  test("a session in use or busy stays open", async () => {
    const { manager, factory, advance } = open();
    const used = await manager.generate();
    const busy = await manager.generate();
    await manager.createSession(used, REQUEST);
    await manager.createSession(busy, REQUEST);
    factory.setBusy(busy, true);
    advance(IDLE_TTL_MS);
    manager.getMultiSession(used);
    advance(1);

    await manager.closeExpired();

    expect(factory.made.map(({ closes }) => closes)).toEqual([0, 0]);
    factory.setBusy(busy, false);
    await manager.closeExpired();
    expect(factory.made.map(({ closes }) => closes)).toEqual([0, 1]);
  });

  test("the absolute lifetime ends even a busy session", async () => {
    const { manager, factory, advance } = open({ absoluteTtlMs: 5_000 });
    const id = await manager.generate();
    await manager.createSession(id, REQUEST);
    factory.setBusy(id, true);
    advance(5_001);

    await manager.closeExpired();

    expect(factory.made.map(({ closes }) => closes)).toEqual([1]);
  });

  test("a placeholder that nobody fills makes room, and who waits for it hears of it", async () => {
    const { manager, advance } = open({ maxSessions: 1 });
    const id = await manager.generate();
    const waiting = manager.whenReady(id);
    const outcome = waiting.catch((error: unknown) => error);
    advance(IDLE_TTL_MS + 1);

    await manager.closeExpired();

    expect(await outcome).toMatchObject({ code: "session_not_found" });
    expect(manager.sessionCount).toBe(0);
    expect(await manager.generate()).not.toBe("");
  });

  test("a mark of termination goes when its time is over", async () => {
    const { manager, storage, advance } = open();
    const id = await manager.generate();
    await manager.terminate(id);
    advance(IDLE_TTL_MS + 1);

    await manager.closeExpired();

    expect(await storage.count()).toBe(0);
    await expect(manager.validate(id)).rejects.toMatchObject({ code: "session_not_found" });
  });

  test("a placeholder that expires while backends connect leaves nothing open", async () => {
    const { manager, storage, factory, advance } = open();
    const id = await manager.generate();
    const gate = factory.holdNext();
    const creating = manager.createSession(id, REQUEST);
    await gate.reached;
    advance(IDLE_TTL_MS + 1);

    await manager.closeExpired();
    gate.open();

    await expect(creating).rejects.toMatchObject({
      code: "session_not_found",
      message: expect.stringContaining("disappeared during backend init"),
    });
    expect(factory.made.map(({ closes }) => closes)).toEqual([1]);
    expect(await storage.count()).toBe(0);
    expect(manager.sessionCount).toBe(0);
  });

  test("expiry runs by itself and leaves no timer after close", async () => {
    vi.useFakeTimers();
    const { manager, factory, advance } = open();
    await manager.createSession(await manager.generate(), REQUEST);
    advance(IDLE_TTL_MS + 1);

    await vi.advanceTimersByTimeAsync(IDLE_TTL_MS / 2);
    const closes = factory.made.map((made) => made.closes);
    await manager.close();

    expect(closes).toEqual([1]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("expiry and termination at once close a session once", async () => {
    const { manager, factory, advance } = open();
    const id = await manager.generate();
    await manager.createSession(id, REQUEST);
    advance(IDLE_TTL_MS + 1);

    await Promise.all([manager.closeExpired(), manager.terminate(id), manager.closeExpired()]);

    expect(factory.made.map(({ closes }) => closes)).toEqual([1]);
  });
});

describe("close", () => {
  test("closes every session and forgets every placeholder", async () => {
    const storage = new MemoryStorage();
    const { manager, factory } = open({ storage: withFaults(storage, { async close() {} }) });
    for (let n = 0; n < 3; n += 1) await manager.createSession(await manager.generate(), REQUEST);
    await manager.generate();

    await Promise.all([manager.close(), manager.close()]);

    expect(factory.made.map(({ closes }) => closes)).toEqual([1, 1, 1]);
    expect(manager.sessionCount).toBe(0);
    expect(await storage.count()).toBe(0);
  });

  test("refuses new sessions from its first moment on", async () => {
    const { manager } = open();
    const id = await manager.generate();

    const closing = manager.close();

    await expect(manager.generate()).rejects.toMatchObject({ code: "shutting_down" });
    await expect(manager.createSession(id, REQUEST)).rejects.toMatchObject({
      code: "shutting_down",
    });
    await expect(manager.validate(id)).rejects.toMatchObject({ code: "shutting_down" });
    await closing;
    expect(await manager.terminate(id)).toEqual({ isNotAllowed: false });
    expect(manager.getMultiSession(id)).toBeUndefined();
  });

  test("aborts creation under way", async () => {
    const { manager, factory } = open();
    const id = await manager.generate();
    const started = deferred();
    factory.next = async (_session, { signal }) => {
      started.resolve();
      return rejectOnAbort(signal);
    };
    const creating = manager.createSession(id, REQUEST);
    const outcome = creating.catch((error: unknown) => error);
    await started.promise;

    await manager.close();

    expect(await outcome).toMatchObject({ code: "shutting_down" });
    expect(manager.sessionCount).toBe(0);
  });

  test("a creation that does not heed its signal is not waited for longer than the deadline", async () => {
    vi.useFakeTimers();
    const { manager, factory } = open({ drainDeadlineMs: 5_000 });
    const gate = factory.holdNext();
    const creating = manager.createSession(await manager.generate(), REQUEST);
    const outcome = creating.catch((error: unknown) => error);
    await gate.reached;

    const closing = manager.close();
    await vi.advanceTimersByTimeAsync(5_000);
    await closing;
    gate.open();

    expect(await outcome).toBeInstanceOf(VmcpError);
    expect(factory.made.map(({ closes }) => closes)).toEqual([1]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("a creation that comes through just now is closed and reported as shutting down", async () => {
    const { manager, factory } = open();
    const gate = factory.holdNext();
    const creating = manager.createSession(await manager.generate(), REQUEST);
    const outcome = creating.catch((error: unknown) => error);
    await gate.reached;

    const closing = manager.close();
    gate.open();
    await closing;

    expect(await outcome).toMatchObject({ code: "shutting_down" });
    expect(factory.made.map(({ closes }) => closes)).toEqual([1]);
  });

  test("one session that does not close cleanly does not keep the others", async () => {
    const { manager, factory } = open();
    const first = await manager.generate();
    await manager.createSession(first, REQUEST);
    await manager.createSession(await manager.generate(), REQUEST);
    factory.failClose(first);

    await manager.close();

    expect(factory.made.map(({ closes }) => closes)).toEqual([1, 1]);
  });
});

describe("a session that went live a moment ago, before its maker heard of it", () => {
  test("is closed by a termination", async () => {
    const { manager, storage, factory, reply, creating, id } = await openWithHeldReply();

    const terminating = manager.terminate(id);
    await settleEvents();
    reply.open();

    expect(await terminating).toEqual({ isNotAllowed: false });
    await expect(creating).resolves.toMatchObject({ id });
    expect(factory.made.map(({ closes }) => closes)).toEqual([1]);
    expect(await storage.load(id)).toBeUndefined();
    expect(manager.getMultiSession(id)).toBeUndefined();
  });

  test("is closed when its record expires", async () => {
    const { manager, factory, advance, reply, creating } = await openWithHeldReply();
    advance(IDLE_TTL_MS + 1);

    const expiring = manager.closeExpired();
    await settleEvents();
    reply.open();
    await Promise.all([expiring, creating]);

    expect(factory.made.map(({ closes }) => closes)).toEqual([1]);
    expect(manager.sessionCount).toBe(0);
  });

  test("is closed when the manager has stopped waiting for it", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { manager, factory, reply, creating } = await openWithHeldReply();
    const outcome = creating.catch((error: unknown) => error);

    const closing = manager.close();
    await vi.advanceTimersByTimeAsync(1_000);
    await closing;
    reply.open();

    expect(await outcome).toBeInstanceOf(VmcpError);
    expect(factory.made.map(({ closes }) => closes)).toEqual([1]);
    expect(manager.sessionCount).toBe(0);
  });
});

interface HeldReply extends Opened {
  readonly id: string;
  readonly creating: Promise<MultiSession>;
  readonly reply: Gate;
}

/** A manager whose storage has made a session live but has not answered yet. */
async function openWithHeldReply(): Promise<HeldReply> {
  const memory = new MemoryStorage();
  const reply = gateOf();
  const opening = open({
    storage: withFaults(memory, {
      async compareAndSwap(expected, next) {
        const isWritten = await memory.compareAndSwap(expected, next);
        await reply.pass();
        return isWritten;
      },
    }),
  });
  const id = await opening.manager.generate();
  const creating = opening.manager.createSession(id, REQUEST);
  await reply.reached;
  return { ...opening, id, creating, reply };
}

/** Lets everything happen that waits for nothing but its turn. */
async function settleEvents(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}

interface Opened {
  readonly manager: SessionManager;
  readonly storage: SessionStorage;
  readonly factory: FakeFactory;
  readonly advance: (ms: number) => void;
}

function open(options: Partial<SessionManagerOptions> = {}): Opened {
  let nowMs = 1_000_000;
  const storage = options.storage ?? new MemoryStorage();
  const factory = fakeFactory(() => nowMs);
  const manager = new SessionManager({
    storage,
    factory,
    backends: () => [],
    clock: () => nowMs,
    logger: SILENT_LOGGER,
    idleTtlMs: IDLE_TTL_MS,
    maxSessions: 100,
    drainDeadlineMs: 1_000,
    ...options,
  });
  opened.push(manager);
  return {
    manager,
    storage,
    factory,
    advance: (ms) => {
      nowMs += ms;
    },
  };
}

interface MadeSession {
  readonly session: MultiSession;
  closes: number;
  touches: number;
  isBusy: boolean;
  lastUsedAtMs: number;
  closeWith: () => Promise<void>;
}

interface FakeFactory extends MultiSessionFactory {
  readonly made: MadeSession[];
  readonly requests: unknown[];
  /** Replaces the making of the next sessions. */
  next: ((session: MultiSession, options: MakeSessionOptions) => Promise<MultiSession>) | undefined;
  /** Lets the next session be made only when told to, signals or not. */
  holdNext(): Gate;
  holdClose(id: string): Gate;
  failClose(id: string): void;
  setBusy(id: string, isBusy: boolean): void;
}

function fakeFactory(clock: () => number): FakeFactory {
  const find = (id: string): MadeSession => {
    const found = factory.made.find(({ session }) => session.id === id);
    if (found === undefined) throw new Error(`no session ${id}`);
    return found;
  };
  const factory: FakeFactory = {
    made: [],
    requests: [],
    next: undefined,
    holdNext() {
      const gate = gateOf();
      factory.next = async (session) => {
        factory.next = undefined;
        await gate.pass();
        return session;
      };
      return gate;
    },
    holdClose(id) {
      const gate = gateOf();
      find(id).closeWith = async () => gate.pass();
      return gate;
    },
    failClose(id) {
      find(id).closeWith = async () => {
        throw new Error("backend refused");
      };
    },
    setBusy(id, isBusy) {
      find(id).isBusy = isBusy;
    },
    makeSession: async (identity, backends, options) =>
      factory.makeSessionWithId("minted", identity, backends, options),
    async makeSessionWithId(id, identity, backends, options) {
      factory.requests.push({ id, identity, backends, options });
      const made = madeSession(id, clock);
      const session = await (factory.next?.(made.session, options) ?? made.session);
      factory.made.push(made);
      return session;
    },
  };
  return factory;
}

function madeSession(text: string, clock: () => number): MadeSession {
  const id = parseSessionId(text);
  const session: MultiSession = {
    id,
    createdAtMs: clock(),
    identity: ANONYMOUS,
    metadata: { "vmcp.backend.ids": "github" },
    tools: [{ name: "echo", json: '{"name":"echo"}', value: { name: "echo" } }],
    prompts: [],
    resources: [],
    get lastUsedAtMs() {
      return made.lastUsedAtMs;
    },
    get isBusy() {
      return made.isBusy;
    },
    touch() {
      made.touches += 1;
      made.lastUsedAtMs = clock();
    },
    callTool: async (name, args) =>
      toToolCallResult({
        content: [{ type: "text", text: `${id} ${name} ${JSON.stringify(args["text"])}` }],
      }),
    readResource: async () => ({ contents: [], raw: {} }),
    getPrompt: async () => ({ messages: [], raw: {} }),
    async [Symbol.asyncDispose]() {
      made.closes += 1;
      await made.closeWith();
    },
  };
  const made: MadeSession = {
    session,
    closes: 0,
    touches: 0,
    isBusy: false,
    lastUsedAtMs: clock(),
    async closeWith() {},
  };
  return made;
}

interface Gate {
  readonly reached: Promise<void>;
  open(): void;
  pass(): Promise<void>;
}

function gateOf(): Gate {
  const reached = deferred();
  const opening = deferred();
  return {
    reached: reached.promise,
    open: () => opening.resolve(),
    async pass() {
      reached.resolve();
      await opening.promise;
    },
  };
}

interface Deferred {
  readonly promise: Promise<void>;
  resolve(): void;
}

function deferred(): Deferred {
  let resolve: (() => void) | undefined;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve: () => resolve?.() };
}

async function rejectOnAbort(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal?.addEventListener("abort", () => reject(new Error("aborted")), { once: true });
  });
}

function countListeners(signal: AbortSignal): { count(): number } {
  const listeners = new Set<unknown>();
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners.add(args[1]);
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners.delete(args[1]);
    remove(...args);
  };
  return { count: () => listeners.size };
}

function backend(name: string): SessionBackend {
  return {
    name: parseBackendName(name),
    connect: async () => ({ error: new Error("not used") }),
  };
}
