import { expect, onTestFinished, test } from "vitest";
import { createFactory } from "../../test/support/sessions.ts";
import { ANONYMOUS } from "../domain/identity.ts";
import { SILENT_LOGGER } from "../domain/logger.ts";
import type { LiveSession } from "./live-session.ts";
import { SessionManager, type SessionManagerOptions } from "./session-manager.ts";
import { MemoryStorage } from "./stores/memory-storage.ts";

const CLIENT = { revision: "2025-11-25", capabilities: {}, info: {} };

interface Rig {
  readonly manager: SessionManager<LiveSession>;
  readonly events: readonly string[];
  readonly open: () => Promise<string>;
  readonly advance: (ms: number) => void;
}

function createRig(options: Partial<SessionManagerOptions<LiveSession>> = {}): Rig {
  let nowMs = 1_000_000;
  const now = (): number => nowMs;
  const events: string[] = [];
  const manager = new SessionManager<LiveSession>({
    storage: new MemoryStorage(),
    factory: createFactory({ now }),
    backends: () => [],
    clock: now,
    logger: SILENT_LOGGER,
    idleTtlMs: 1_000_000,
    maxSessions: 10,
    drainDeadlineMs: 100,
    onSessionCreated: ({ id }) => void events.push(`${id} created`),
    onSessionClosed: (id, end, session) =>
      void events.push(`${id} ${session.id === id ? end : "of another session"}`),
    ...options,
  });
  onTestFinished(async () => manager.close());
  const open = async (): Promise<string> => {
    const id = await manager.generate();
    await manager.createSession(id, { identity: ANONYMOUS, client: CLIENT });
    return id;
  };
  const advance = (ms: number): void => {
    nowMs += ms;
  };
  return { manager, events, open, advance };
}

test("a session is announced once it is live, and its end says that its client wanted it", async () => {
  const { manager, events, open } = createRig();

  const id = await open();
  await manager.terminate(id);

  expect(events).toEqual([`${id} created`, `${id} client`]);
});

test("a session that nobody used ends as idle", async () => {
  const { manager, events, open, advance } = createRig({ idleTtlMs: 1_000 });
  const id = await open();

  advance(1_001);
  await manager.closeExpired();

  expect(events).toEqual([`${id} created`, `${id} idle`]);
});

test("a session that is too old ends for its age, however used", async () => {
  const { manager, events, open, advance } = createRig({ absoluteTtlMs: 1_000 });
  const id = await open();

  advance(1_001);
  manager.getMultiSession(id);
  await manager.closeExpired();

  expect(events).toEqual([`${id} created`, `${id} absolute`]);
});

test("a session whose place another one takes ends as evicted", async () => {
  const { events, open, advance } = createRig({ maxSessions: 1, evictIdleAfterMs: 1_000 });
  const first = await open();

  advance(1_001);
  const second = await open();

  expect(events).toEqual([`${first} created`, `${first} evicted`, `${second} created`]);
});

test("a session that lives when the gateway ends says so", async () => {
  const { manager, events, open } = createRig();
  const id = await open();

  await manager.close();

  expect(events).toEqual([`${id} created`, `${id} shutdown`]);
});

test("a session that never lived is neither announced nor ended", async () => {
  const { manager, events } = createRig();
  const id = await manager.generate();

  await manager.terminate(id);

  expect(events).toEqual([]);
});
