import { afterEach, describe, expect, test, vi } from "vitest";
import { ANONYMOUS, type Identity } from "../domain/identity.ts";
import { SILENT_LOGGER } from "../domain/logger.ts";
import {
  fakeBackend,
  type FakeBackend,
  type FakeOptions,
} from "../../test/support/fake-backends.ts";
import { CLIENT, createFactory } from "../../test/support/sessions.ts";
import type { LiveSession } from "./live-session.ts";
import { SessionManager, type SessionManagerOptions } from "./session-manager.ts";
import { MemoryStorage } from "./stores/memory-storage.ts";

const ALICE: Identity = { kind: "verified", issuer: "https://idp", subject: "alice" };
const BOB: Identity = { kind: "verified", issuer: "https://idp", subject: "bob" };
const EVICT_AFTER_MS = 10_000;
const FULL = { code: "too_many_sessions", retryAfterSeconds: 30 };

interface Rig {
  readonly manager: SessionManager<LiveSession>;
  readonly backend: FakeBackend;
  readonly open: (identity?: Identity, endsUnused?: boolean) => Promise<LiveSession>;
  readonly advance: (ms: number) => void;
}

const rigs: Rig[] = [];

afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(rigs.splice(0).map(async ({ manager }) => manager.close()));
});

function createRig(
  options: Partial<SessionManagerOptions<LiveSession>> = {},
  backendOptions: FakeOptions = {},
): Rig {
  let nowMs = 1_000_000;
  const clock = (): number => nowMs;
  const backend = fakeBackend("b1", { tools: ["echo"], ...backendOptions });
  const manager = new SessionManager<LiveSession>({
    storage: new MemoryStorage(),
    factory: createFactory({ now: clock }),
    backends: () => [backend],
    clock,
    logger: SILENT_LOGGER,
    idleTtlMs: 1_000_000,
    maxSessions: 100,
    drainDeadlineMs: 50,
    ...options,
  });
  const rig: Rig = {
    manager,
    backend,
    open: async (identity = ANONYMOUS, endsUnused = false) => {
      const id = await manager.generate(identity);
      return manager.createSession(id, { identity, client: CLIENT, endsUnused });
    },
    advance: (ms) => {
      nowMs += ms;
    },
  };
  rigs.push(rig);
  return rig;
}

function openConnections({ connections }: FakeBackend): number {
  return connections.filter(({ isClosed }) => !isClosed).length;
}

describe("sessions of one client", () => {
  test("are refused past the limit, and nothing is opened for it", async () => {
    const { manager, backend, open } = createRig({ maxSessionsPerIdentity: 2 });
    await open(ALICE);
    await open(ALICE);

    await expect(manager.generate(ALICE)).rejects.toMatchObject(FULL);

    expect(manager.sessionCount).toBe(2);
    expect(backend.connections).toHaveLength(2);
    await expect(open(BOB)).resolves.toMatchObject({ identity: BOB });
    await expect(open()).resolves.toMatchObject({ identity: ANONYMOUS });
  });

  test("are refused at creation too, where the id was not asked for in the client's name", async () => {
    const { manager, backend, open } = createRig({ maxSessionsPerIdentity: 1 });
    await open(ALICE);
    const id = await manager.generate();

    const creating = manager.createSession(id, { identity: ALICE, client: CLIENT });

    await expect(creating).rejects.toMatchObject(FULL);
    expect(backend.connections).toHaveLength(1);
    await expect(
      manager.createSession(id, { identity: BOB, client: CLIENT }),
    ).resolves.toMatchObject({ id });
  });

  test("make room for the next one by whatever way they end", async () => {
    const { manager, backend, open, advance } = createRig({
      maxSessionsPerIdentity: 1,
      idleTtlMs: 1_000,
    });

    await manager.terminate((await open(ALICE)).id);
    await open(ALICE);
    advance(1_001);
    await manager.closeExpired();
    await open(ALICE);

    expect(openConnections(backend)).toBe(1);
  });

  test("that could not be made do not count", async () => {
    let isBroken = true;
    const factory = createFactory();
    const { open } = createRig({
      maxSessionsPerIdentity: 1,
      factory: {
        makeSession: async (...args) => factory.makeSession(...args),
        makeSessionWithId: async (...args) => {
          if (isBroken) throw new Error("no");
          return factory.makeSessionWithId(...args);
        },
      },
    });
    await expect(open(ALICE)).rejects.toThrow("no");

    isBroken = false;

    await expect(open(ALICE)).resolves.toMatchObject({ identity: ALICE });
  });

  test("at their limit do not cost another client its idle session", async () => {
    const { manager, open, advance } = createRig({
      maxSessions: 2,
      maxSessionsPerIdentity: 1,
      evictIdleAfterMs: EVICT_AFTER_MS,
    });
    await open(ALICE);
    const idle = await open(BOB);
    advance(EVICT_AFTER_MS);

    await expect(manager.generate(ALICE)).rejects.toMatchObject(FULL);

    expect(manager.liveSessions()).toContain(idle);
  });
});

describe("a full gateway", () => {
  test("says nothing of how many sessions there are", async () => {
    const { manager, open } = createRig({ maxSessions: 1 });
    await open();

    await expect(manager.generate()).rejects.toMatchObject({
      ...FULL,
      message: expect.stringMatching(/^[^0-9]*$/),
    });
  });

  test("ends the least recently used idle session for a new one, and its connections [R9]", async () => {
    const { manager, backend, open, advance } = createRig({
      maxSessions: 2,
      evictIdleAfterMs: EVICT_AFTER_MS,
    });
    const [first, second] = [await open(), await open()];
    advance(1);
    manager.getMultiSession(first.id);
    advance(EVICT_AFTER_MS);

    const third = await open();

    expect(manager.liveSessions()).toEqual([first, third]);
    expect(manager.getMultiSession(second.id)).toBeUndefined();
    await expect(manager.validate(second.id)).rejects.toMatchObject({ code: "session_not_found" });
    expect(openConnections(backend)).toBe(2);
    expect(manager.sessionCount).toBe(2);
  });

  test("refuses while every session is in use or was used a moment ago [A9] [R9]", async () => {
    const never = new Promise<never>(() => {});
    const { manager, open, advance } = createRig(
      { maxSessions: 3, evictIdleAfterMs: EVICT_AFTER_MS },
      { answer: async () => never },
    );
    const [calling, streaming] = [await open(), await open()];
    const call = calling.callTool("echo", {}).catch(() => {});
    streaming.attachStream({ send: () => true, end() {} });
    advance(EVICT_AFTER_MS - 1);
    const recent = await open();
    advance(1);

    await expect(manager.generate()).rejects.toMatchObject(FULL);

    expect(manager.liveSessions()).toEqual([calling, streaming, recent]);
    await manager.close();
    await call;
  });

  test("never has more than its limit, however many come at once", async () => {
    const { manager, backend, open, advance } = createRig({
      maxSessions: 3,
      evictIdleAfterMs: EVICT_AFTER_MS,
    });
    await Promise.all([open(), open(), open()]);
    advance(EVICT_AFTER_MS);

    const outcomes = await Promise.allSettled(Array.from({ length: 10 }, async () => open()));

    const refused = outcomes.filter(({ status }) => status === "rejected");
    expect(refused).toHaveLength(7);
    expect(manager.liveSessions()).toHaveLength(3);
    expect(openConnections(backend)).toBe(3);
  });

  test("opens nothing for the new session before the old one has let go of its backends", async () => {
    let letGo: (() => void) | undefined;
    const { backend, open, advance } = createRig(
      { maxSessions: 1, evictIdleAfterMs: EVICT_AFTER_MS },
      {
        onClose: async () => {
          if (letGo === undefined) await new Promise<void>((resolve) => (letGo = resolve));
        },
      },
    );
    await open();
    advance(EVICT_AFTER_MS);

    const opening = open();
    await expect.poll(() => letGo).toBeDefined();
    const before = backend.connections.length;
    letGo?.();
    await opening;

    expect(before).toBe(1);
    expect(backend.connections).toHaveLength(2);
  });

  test("does not let a backend that is slow to close keep the new session waiting for long", async () => {
    vi.useFakeTimers();
    const { manager, open, advance } = createRig(
      { maxSessions: 1, evictIdleAfterMs: EVICT_AFTER_MS },
      { onClose: async () => new Promise((resolve) => void setTimeout(resolve, 60_000)) },
    );
    await open();
    advance(EVICT_AFTER_MS);

    const opening = open();
    await vi.advanceTimersByTimeAsync(1_000);

    await expect(opening).resolves.toMatchObject({ isBusy: false });
    expect(manager.sessionCount).toBe(2);
    await expect(manager.generate()).rejects.toMatchObject(FULL);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(manager.sessionCount).toBe(1);
    const closing = manager.close();
    await vi.advanceTimersByTimeAsync(60_000);
    await closing;
    expect(vi.getTimerCount()).toBe(0);
  });

  test("evicts, terminates and expires a session at once and closes it once [R8]", async () => {
    let closes = 0;
    const { manager, open, advance } = createRig(
      { maxSessions: 1, evictIdleAfterMs: EVICT_AFTER_MS, idleTtlMs: EVICT_AFTER_MS },
      {
        onClose: async () => {
          closes += 1;
        },
      },
    );
    const session = await open();
    advance(EVICT_AFTER_MS + 1);

    await Promise.all([
      manager.closeExpired(),
      manager.generate(),
      manager.terminate(session.id),
      manager.terminate(session.id),
    ]);

    expect(closes).toBe(1);
  });
});

describe("a session that nothing was asked of", () => {
  const UNUSED_TTL_MS = 1_000;

  test("ends early where its request says so, and only then", async () => {
    const { manager, open, advance } = createRig({ unusedTtlMs: UNUSED_TTL_MS });
    await open(ANONYMOUS, true);
    const kept = await open(ANONYMOUS, false);
    advance(UNUSED_TTL_MS + 1);

    await manager.closeExpired();

    expect(manager.liveSessions()).toEqual([kept]);
  });

  test("is not one that was listed, called or given a stream", async () => {
    const { manager, open, advance } = createRig({ unusedTtlMs: UNUSED_TTL_MS });
    const used = [await open(ANONYMOUS, true), await open(ANONYMOUS, true)];
    const streaming = await open(ANONYMOUS, true);
    used[0]?.list("tools");
    await used[1]?.callTool("echo", {});
    streaming.attachStream({ send: () => true, end() {} })[Symbol.dispose]();
    advance(UNUSED_TTL_MS + 1);

    await manager.closeExpired();

    expect(manager.liveSessions()).toEqual([...used, streaming]);
  });

  test("lives on while its client shows itself", async () => {
    const { manager, open, advance } = createRig({ unusedTtlMs: UNUSED_TTL_MS });
    const { id } = await open(ANONYMOUS, true);
    advance(UNUSED_TTL_MS);
    manager.getMultiSession(id);
    advance(UNUSED_TTL_MS);

    await manager.closeExpired();

    expect(manager.sessionCount).toBe(1);
    advance(1);
    await manager.closeExpired();
    expect(manager.sessionCount).toBe(0);
  });

  test("never lives longer than the others", async () => {
    const { manager, open, advance } = createRig({
      unusedTtlMs: 10 * UNUSED_TTL_MS,
      idleTtlMs: 500,
    });
    await open(ANONYMOUS, true);
    advance(501);

    await manager.closeExpired();

    expect(manager.sessionCount).toBe(0);
  });
});

describe("calls that take longer than the gateway can wait", () => {
  const never = new Promise<never>(() => {});

  test("end with `shutting_down` at the drain deadline, outcome unknown [F30]", async () => {
    const { manager, open } = createRig({}, { answer: async () => never });
    const call = (await open()).callTool("echo", {}).catch((error: unknown) => error);

    await manager.close();

    expect(await call).toMatchObject({ code: "shutting_down", executionState: "unknown" });
  });

  test("and those that come too late are refused as not executed [F30]", async () => {
    const { manager, open } = createRig({}, { answer: async () => never });
    const session = await open();
    const call = session.callTool("echo", {}).catch(() => {});

    const closing = manager.close();
    const late = session.callTool("echo", {});

    await expect(late).rejects.toMatchObject({
      code: "shutting_down",
      executionState: "not_executed",
    });
    expect(() => session.attachStream({ send: () => true, end() {} })).toThrow("shut down");
    await Promise.all([closing, call]);
  });

  test("keep nobody waiting who ends another session meanwhile", async () => {
    vi.useFakeTimers();
    const { manager, open } = createRig({ drainDeadlineMs: 60_000 }, { answer: async () => never });
    const [calling, other] = [await open(), await open()];
    const call = calling.callTool("echo", {}).catch(() => {});

    const closing = manager.close();
    await manager.terminate(other.id);
    await manager.terminate("unknown");

    expect(manager.sessionCount).toBe(1);
    await vi.advanceTimersByTimeAsync(60_000);
    await Promise.all([closing, call]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("end with `session_closed` where only their session ends", async () => {
    const { manager, open } = createRig({}, { answer: async () => never });
    const session = await open();
    const call = session.callTool("echo", {}).catch((error: unknown) => error);

    await manager.terminate(session.id);

    expect(await call).toMatchObject({ code: "session_closed", executionState: "unknown" });
  });
});
