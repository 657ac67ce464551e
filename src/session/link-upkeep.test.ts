import { afterEach, describe, expect, test } from "vitest";
import { VmcpError, type VmcpErrorCode } from "../domain/errors.ts";
import { fakeBackend, type FakeBackend } from "../../test/support/fake-backends.ts";
import { linkHost } from "../../test/support/link-host.ts";
import { NO_GUARD } from "./backend-guard.ts";
import { BackendLink } from "./backend-link.ts";
import type { LinkPolicy } from "./link-policy.ts";

const links: BackendLink[] = [];

afterEach(async () => {
  for (const link of links.splice(0)) await link[Symbol.asyncDispose]();
});

async function connectedLink(backend: FakeBackend, policy: LinkPolicy): Promise<BackendLink> {
  const link = new BackendLink({
    backend: { ...backend, policy },
    guard: NO_GUARD,
    host: linkHost(),
  });
  links.push(link);
  await link.ready();
  return link;
}

function pingsOn(backend: FakeBackend, connection = 0): number {
  const received = backend.connections[connection]?.received ?? [];
  return received.filter(({ method }) => method === "ping").length;
}

/** Fails the last ping on a connection, as one does that is not answered. */
function failPing(backend: FakeBackend, code: VmcpErrorCode, connection = 0): void {
  const sinks = [...(backend.connections[connection]?.sinks.values() ?? [])];
  sinks.at(-1)?.fail(new VmcpError(code, "no answer", { executionState: "unknown" }));
}

const never = async (): Promise<never> => new Promise(() => {});

/** Waits until another connection was pinged several times: what has the same period had its chance by then. */
async function severalTurns(): Promise<void> {
  const other = fakeBackend("other");
  await connectedLink(other, { keepaliveMs: 1 });
  await expect.poll(() => pingsOn(other)).toBeGreaterThan(3);
}

describe("a connection with keepalive", () => {
  // [spec:ping-3]
  test("is pinged again and again while it has no calls [rfc R19]", async () => {
    const backend = fakeBackend("a");
    await connectedLink(backend, { keepaliveMs: 1 });

    await expect.poll(() => pingsOn(backend)).toBeGreaterThan(2);

    const ids = backend.connections[0]?.received.map(({ id }) => id) ?? [];
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.every((id) => String(id).startsWith("vmcp:"))).toBe(true);
  });

  test("is not pinged while a call is under way", async () => {
    const backend = fakeBackend("a");
    const link = await connectedLink(backend, { keepaliveMs: 1 });
    link.callBegins();

    await severalTurns();

    expect(pingsOn(backend)).toBe(0);
  });

  test("is not pinged again before the last ping has ended", async () => {
    const backend = fakeBackend("a", { answer: never });
    await connectedLink(backend, { keepaliveMs: 1 });

    await severalTurns();

    expect(pingsOn(backend)).toBe(1);
  });

  test("is left in peace after three pings in a row that failed [rfc R19]", async () => {
    const backend = fakeBackend("a", { answer: never });
    await connectedLink(backend, { keepaliveMs: 1 });
    for (const count of [1, 2, 3]) {
      // Each ping follows the failure of the one before.
      // oxlint-disable-next-line no-await-in-loop
      await expect.poll(() => pingsOn(backend)).toBe(count);
      failPing(backend, "backend_timeout");
    }

    await severalTurns();

    expect(pingsOn(backend)).toBe(3);
  });

  test("that was lost is made again ahead of the next call", async () => {
    const backend = fakeBackend("a", { answer: never });
    const link = await connectedLink(backend, { keepaliveMs: 1 });
    await expect.poll(() => pingsOn(backend)).toBe(1);

    const gone = new VmcpError("backend_session_lost", "gone", { executionState: "not_executed" });
    backend.connections[0]?.request.listener.lost(gone);
    failPing(backend, "backend_session_lost");
    await expect.poll(() => link.phase).toBe("ready");

    expect(backend.connections.map(({ isClosed }) => isClosed)).toEqual([true, false]);
    expect(link.takeUntoldLoss()).toBe(true);
  });

  test("that was lost between two pings is made again at the next one", async () => {
    const backend = fakeBackend("a");
    const link = await connectedLink(backend, { keepaliveMs: 1 });

    backend.connections[0]?.request.listener.lost(new VmcpError("backend_closed", "exited"));
    await expect.poll(() => link.phase).toBe("ready");

    expect(backend.connections).toHaveLength(2);
  });

  test("waits for nothing any more once its link is closed", async () => {
    const backend = fakeBackend("a");
    const link = await connectedLink(backend, { keepaliveMs: 1 });

    await link[Symbol.asyncDispose]();
    const pings = pingsOn(backend);
    await severalTurns();

    expect(pingsOn(backend)).toBe(pings);
  });
});

describe("a connection with a longest idle time", () => {
  test("is closed when nobody used it for that long; the next call gets another, marked", async () => {
    const backend = fakeBackend("a");
    const link = await connectedLink(backend, { idleMs: 1 });

    await expect.poll(() => link.phase).toBe("resting");
    await link.ready();

    expect(backend.connections.map(({ isClosed }) => isClosed)).toEqual([true, false]);
    expect(link.takeUntoldLoss()).toBe(true);
  });

  test("stays while a call is under way, and for its time after the call", async () => {
    const backend = fakeBackend("a");
    const link = await connectedLink(backend, { idleMs: 1 });
    link.callBegins();

    await severalTurns();
    const during = link.phase;
    link.callSucceeded();
    await expect.poll(() => link.phase).toBe("resting");

    expect(during).toBe("ready");
  });

  test("is not kept open by pings", async () => {
    const backend = fakeBackend("a");
    const link = await connectedLink(backend, { keepaliveMs: 1, idleMs: 300 });

    await expect.poll(() => link.phase).toBe("resting");

    expect(pingsOn(backend)).toBeGreaterThan(0);
  });
});

test("a connection whose policy asks for nothing is left alone", async () => {
  const backend = fakeBackend("a");
  const link = await connectedLink(backend, {});

  await severalTurns();

  expect(pingsOn(backend)).toBe(0);
  expect(link.phase).toBe("ready");
});
