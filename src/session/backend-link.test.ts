import { afterEach, describe, expect, test, vi } from "vitest";
import { VmcpError } from "../domain/errors.ts";
import { LateSignal } from "../lib/late-signal.ts";
import { Semaphore } from "../lib/semaphore.ts";
import {
  capabilitySet,
  fakeBackend,
  message,
  type FakeBackend,
  type FakeOptions,
} from "../../test/support/fake-backends.ts";
import { linkHost } from "../../test/support/link-host.ts";
import { recordingGuard } from "../../test/support/recording-guard.ts";
import { NO_GUARD, type BackendGuard } from "./backend-guard.ts";
import { BackendLink, type LinkHost } from "./backend-link.ts";
import type { LinkPolicy } from "./link-policy.ts";

const START_TIMEOUT_MS = 1_000;
const CLOSE_DEADLINE_MS = 500;

afterEach(() => {
  vi.useRealTimers();
});

interface OpenedLink {
  readonly link: BackendLink;
  readonly clock: { nowMs: number };
  readonly ready: boolean[];
}

interface LinkWishes extends Partial<LinkHost> {
  readonly guard?: BackendGuard;
  readonly policy?: LinkPolicy;
  readonly slots?: readonly Semaphore[];
}

function linkTo(
  backend: FakeBackend,
  { guard = NO_GUARD, policy, slots = [], ...wishes }: LinkWishes = {},
): OpenedLink {
  const clock = { nowMs: 0 };
  const ready: boolean[] = [];
  const host = linkHost({
    startTimeoutMs: START_TIMEOUT_MS,
    closeDeadlineMs: CLOSE_DEADLINE_MS,
    now: () => clock.nowMs,
    slotsFor: () => slots,
    onReady: (_link, _capabilities, isFirst) => void ready.push(isFirst),
    ...wishes,
  });
  const link = new BackendLink({ backend: { ...backend, policy }, guard, host });
  return { link, clock, ready };
}

function gone(): VmcpError {
  return new VmcpError("backend_session_lost", "gone", { executionState: "not_executed" });
}

function exited(): VmcpError {
  return new VmcpError("backend_closed", 'Backend "a" exited with code 3', {
    backend: "a",
    executionState: "unknown",
    exit: { code: 3 },
  });
}

/** A backend whose attempts to connect wait until the test lets them go on, whatever their signal says. */
function deafBackend() {
  const gates: (() => void)[] = [];
  const backend = fakeBackend("a", {
    beforeConnect: async () =>
      new Promise((resolve) => {
        gates.push(resolve);
      }),
  });
  return { backend, gates };
}

function refuse(): never {
  throw new VmcpError("backend_unreachable", "connection refused");
}

describe("connecting", () => {
  test("runs once however many ask", async () => {
    const backend = fakeBackend("a");
    const { link, ready } = linkTo(backend);

    const connections = await Promise.all([link.ready(), link.ready(), link.ready()]);
    await link.connect();

    expect(new Set(connections).size).toBe(1);
    expect(backend.connections).toHaveLength(1);
    expect(link.connection).toBe(connections[0]);
    expect(ready).toEqual([true]);
  });

  test("takes a permit for as long as it lasts", async () => {
    const slot = new Semaphore(1);
    const { backend, gates } = deafBackend();
    const { link } = linkTo(backend, { slots: [slot] });
    const other = fakeBackend("b");
    const { link: waiting } = linkTo(other, { slots: [slot] });

    const connecting = [link.connect(), waiting.connect()];
    await expect.poll(() => gates).toHaveLength(1);
    const whileHeld = other.connections.length;
    gates[0]?.();
    await Promise.all(connecting);

    expect(whileHeld).toBe(0);
    expect(waiting.phase).toBe("ready");
  });

  test("that fails names the backend and says that nothing ran", async () => {
    const { link } = linkTo(fakeBackend("a", { beforeConnect: async () => refuse() }));

    await link.connect();

    expect(link.phase).toBe("failed");
    expect(link.failure).toMatchObject({
      code: "backend_unreachable",
      backend: "a",
      executionState: "not_executed",
      message: 'Backend "a" is unavailable: connection refused',
    });
  });

  test("that comes without lists counts as failed, and what it opened is closed", async () => {
    const backend = fakeBackend("a", {
      outcome: ({ connection }) => ({ connection }),
    });
    const { link } = linkTo(backend);

    await link.connect();

    expect(link.phase).toBe("failed");
    expect(backend.connections.map(({ isClosed }) => isClosed)).toEqual([true]);
  });

  test("that takes too long fails, and what still comes is closed", async () => {
    vi.useFakeTimers();
    const { backend, gates } = deafBackend();
    const { link } = linkTo(backend);

    const connecting = link.connect();
    await vi.advanceTimersByTimeAsync(START_TIMEOUT_MS);
    await connecting;
    const { failure } = link;
    gates[0]?.();
    await vi.advanceTimersByTimeAsync(CLOSE_DEADLINE_MS);

    expect(failure).toMatchObject({ code: "backend_timeout", executionState: "not_executed" });
    expect(backend.connections.map(({ isClosed }) => isClosed)).toEqual([true]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("a backend that failed", () => {
  test("is given time to recover, longer each time, up to half a minute", async () => {
    const attemptsAtMs: number[] = [];
    const { link, clock } = linkTo(
      fakeBackend("a", {
        beforeConnect: async () => {
          attemptsAtMs.push(clock.nowMs);
          refuse();
        },
      }),
    );
    await link.connect();

    for (; clock.nowMs < 95_000; clock.nowMs += 100) {
      // Somebody asks all the time.
      // oxlint-disable-next-line no-await-in-loop
      await link.ready().catch(() => {});
    }

    const pauses = attemptsAtMs.slice(1).map((atMs, index) => atMs - (attemptsAtMs[index] ?? 0));
    expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  });

  test("is tried at once when somebody saw it alive, and recovers", async () => {
    let isDown = true;
    const backend = fakeBackend("a", {
      beforeConnect: async () => {
        if (isDown) refuse();
      },
    });
    const { link } = linkTo(backend);
    await link.connect();

    isDown = false;
    await link.connect();

    expect(link.phase).toBe("ready");
    expect(link.failure).toBeUndefined();
  });
});

describe("the guard of a backend", () => {
  test.for([
    ["succeeded", {}],
    ["failed backend_unreachable", { beforeConnect: async () => refuse() }],
    ["failed backend_unreachable", { outcome: ({ connection }) => ({ connection }) }],
  ] as const satisfies readonly (readonly [string, FakeOptions])[])(
    "hears once that an attempt %s",
    async ([heard, options]) => {
      const guard = recordingGuard();
      const { link } = linkTo(fakeBackend("a", options), { guard });

      await link.connect();

      expect(guard.heard).toEqual(["admit", heard]);
    },
  );

  test("that refuses leaves the backend alone until the time it names", async () => {
    const guard = recordingGuard();
    guard.refusal = new VmcpError("backend_unreachable", "held back", { retryAfterSeconds: 7 });
    const backend = fakeBackend("a");
    const { link, clock } = linkTo(backend, { guard });

    await link.connect();
    const { failure } = link;
    guard.refusal = undefined;
    clock.nowMs = 6_999;
    const early = await link.ready().catch((error: unknown) => error);
    clock.nowMs = 7_000;
    await link.ready();

    expect(failure).toMatchObject({ message: "held back" });
    expect(early).toMatchObject({ message: "held back", retryAfterSeconds: 1 });
    expect(guard.heard).toEqual(["admit", "succeeded"]);
  });

  test("is asked by those who waited for a permit only when they have it", async () => {
    const guard = recordingGuard();
    const slot = new Semaphore(1);
    const held = await slot.acquire(new LateSignal());
    const { link } = linkTo(fakeBackend("a"), { guard, slots: [slot] });

    const connecting = link.connect();
    guard.refusal = new VmcpError("backend_unreachable", "held back");
    held[Symbol.dispose]();
    await connecting;

    expect(link.failure).toMatchObject({ message: "held back" });
    expect(guard.heard).toEqual([]);
  });
});

describe("a connection that is lost", () => {
  test("is replaced by one whose lists are fetched, however fresh the known ones are", async () => {
    const backend = fakeBackend("a", { tools: ["new"] });
    const known = capabilitySet({ tools: ["old"] });
    const { link } = linkTo(backend, { knownCapabilities: () => known });
    const first = await link.ready();

    link.lose(first, gone());
    await link.ready();

    expect(backend.connections.map(({ request }) => request.knownCapabilities)).toEqual([
      known,
      undefined,
    ]);
  });

  test("is closed, and the next call gets a new one without waiting", async () => {
    const backend = fakeBackend("a");
    const { link, ready } = linkTo(backend);
    const first = await link.ready();

    link.lose(first, gone());
    const second = await link.ready();

    expect(second).not.toBe(first);
    expect(backend.connections.map(({ isClosed }) => isClosed)).toEqual([true, false]);
    expect(ready).toEqual([true, false]);
  });

  test("is told of by one answer, and by no more", async () => {
    const { link } = linkTo(fakeBackend("a"));
    const first = await link.ready();
    const beforeLoss = link.takeUntoldLoss();
    link.lose(first, gone());
    await link.ready();

    expect(beforeLoss).toBe(false);
    expect([link.takeUntoldLoss(), link.takeUntoldLoss()]).toEqual([true, false]);
  });

  test("in the moment in which it is asked for is replaced for the one who asked", async () => {
    const backend = fakeBackend("a");
    const { link } = linkTo(backend);
    const first = await link.ready();

    const asking = link.ready();
    backend.connections[0]?.request.listener.lost(gone());

    expect(await asking).not.toBe(first);
  });

  test("twice, or late, harms the new one not", async () => {
    const backend = fakeBackend("a");
    const { link } = linkTo(backend);
    const first = await link.ready();
    link.lose(first, gone());
    const second = await link.ready();

    link.lose(first, gone());
    backend.connections[0]?.request.listener.lost(gone());

    expect(link.connection).toBe(second);
  });

  test("while it was being made counts as a failure", async () => {
    const backend = fakeBackend("a", {
      outcome: (connected) => {
        backend.connections.at(-1)?.request.listener.lost(gone());
        return connected;
      },
    });
    const { link } = linkTo(backend);

    await link.connect();

    expect(link.phase).toBe("failed");
    expect(link.failure?.code).toBe("backend_session_lost");
    expect(backend.connections.map(({ isClosed }) => isClosed)).toEqual([true]);
  });
});

describe("a backend whose process ends by itself", () => {
  const restart = { backoffMinMs: 1_000, backoffMaxMs: 60_000, budget: 2, windowMs: 600_000 };

  /** Ends the newest process, and connects again as soon as that is allowed. */
  async function endAndRestart(backend: FakeBackend, { link, clock }: OpenedLink): Promise<number> {
    backend.connections.at(-1)?.request.listener.lost(exited());
    const endedAtMs = clock.nowMs;
    for (; link.phase !== "ready"; clock.nowMs += 500) {
      // Somebody asks all the time.
      // oxlint-disable-next-line no-await-in-loop
      await link.ready().catch(() => {});
      if (link.connection !== undefined) break;
    }
    return clock.nowMs - endedAtMs;
  }

  test("is started again at once after its first exit, and waits after the next [B10]", async () => {
    const backend = fakeBackend("a");
    const opened = linkTo(backend, { policy: { restart } });
    await opened.link.ready();

    const waits = [await endAndRestart(backend, opened), await endAndRestart(backend, opened)];

    expect(waits).toEqual([0, 1_000]);
  });

  test("rests once it ended more often than the budget allows, and says so and until when", async () => {
    const backend = fakeBackend("a");
    const opened = linkTo(backend, { policy: { restart } });
    const { link } = opened;
    await link.ready();
    for (const _exit of [1, 2]) {
      // One exit follows the restart after the other.
      // oxlint-disable-next-line no-await-in-loop
      await endAndRestart(backend, opened);
    }

    backend.connections.at(-1)?.request.listener.lost(exited());
    const error = await link.ready().catch((thrown: unknown) => thrown);
    await link.connect();

    expect(error).toMatchObject({
      code: "backend_closed",
      executionState: "not_executed",
      message: expect.stringMatching(
        /^Backend "a" exited with code 3; it ended 3 times within 600 s/,
      ),
      retryAfterSeconds: 599,
      exit: { code: 3 },
    });
    expect(link.failure?.message).toContain("ended 3 times");
    // Not even who saw the backend alive gets it started earlier.
    expect([link.phase, backend.connections.length]).toEqual(["failed", 3]);
  });

  test("is started again when its oldest exit has left the window", async () => {
    const backend = fakeBackend("a");
    const opened = linkTo(backend, { policy: { restart } });
    await opened.link.ready();

    const waits: number[] = [];
    for (const _exit of [1, 2, 3]) {
      // oxlint-disable-next-line no-await-in-loop
      waits.push(await endAndRestart(backend, opened));
    }

    expect(waits).toEqual([0, 1_000, 599_000]);
  });

  test("spends nothing of its budget on starts that were refused", async () => {
    let isRefused = true;
    const backend = fakeBackend("a", {
      beforeConnect: async () => {
        const details = { executionState: "not_executed", retryAfterSeconds: 60 } as const;
        if (isRefused) throw new VmcpError("backend_unreachable", "not now", details);
      },
    });
    const opened = linkTo(backend, { policy: { restart } });
    for (const _attempt of [1, 2, 3, 4]) {
      // oxlint-disable-next-line no-await-in-loop
      await opened.link.connect();
    }
    isRefused = false;
    await opened.link.connect();

    const waits = [await endAndRestart(backend, opened), await endAndRestart(backend, opened)];

    expect(waits).toEqual([0, 1_000]);
  });

  test("before it is up is tried again whenever somebody saw it alive", async () => {
    let isDown = true;
    const backend = fakeBackend("a", {
      beforeConnect: async () => {
        if (isDown) throw exited();
      },
    });
    const { link } = linkTo(backend, { policy: { restart: { ...restart, budget: 0 } } });
    await link.connect();
    const { failure } = link;

    isDown = false;
    await link.connect();

    expect(failure).toMatchObject({ exit: { code: 3 } });
    expect(link.phase).toBe("ready");
  });
});

describe("closing", () => {
  test("closes the connection, and nothing can be had of the link any more", async () => {
    const backend = fakeBackend("a");
    const { link } = linkTo(backend);
    await link.ready();

    await link[Symbol.asyncDispose]();
    await link.connect();

    expect(backend.connections.map(({ isClosed }) => isClosed)).toEqual([true]);
    expect(link.phase).toBe("closed");
    await expect(link.ready()).rejects.toMatchObject({
      code: "session_closed",
      executionState: "not_executed",
    });
  });

  test("does not wait for ever for an attempt that heeds no signal, which is closed when it comes", async () => {
    vi.useFakeTimers();
    const { backend, gates } = deafBackend();
    const { link } = linkTo(backend);
    const connecting = link.ready().catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(0);

    const closing = link[Symbol.asyncDispose]();
    await vi.advanceTimersByTimeAsync(CLOSE_DEADLINE_MS);
    await closing;
    const outcome = await connecting;
    gates[0]?.();
    await vi.advanceTimersByTimeAsync(0);

    expect(outcome).toMatchObject({ code: "session_closed" });
    expect(backend.connections.map(({ isClosed }) => isClosed)).toEqual([true]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("waits for connections that are on their way out already, and says if one did not close", async () => {
    const backend = fakeBackend("a", {
      onClose: async () => {
        throw new Error("would not end");
      },
    });
    const { link } = linkTo(backend);
    await link.ready();

    await expect(link[Symbol.asyncDispose]()).rejects.toThrow("would not end");
  });

  test("silences the backend: what it says afterwards is nobody's", async () => {
    const heard: unknown[] = [];
    const backend = fakeBackend("a");
    const { link } = linkTo(backend, {
      onUnsolicited: (_link, { bytes }) => void heard.push(bytes),
    });
    await link.ready();
    const { listener } = backend.connections[0]?.request ?? {};
    const notice = message({ jsonrpc: "2.0", method: "notifications/message" });
    listener?.unsolicited(notice);

    await link[Symbol.asyncDispose]();
    listener?.unsolicited(notice);

    expect(heard).toHaveLength(1);
  });
});
