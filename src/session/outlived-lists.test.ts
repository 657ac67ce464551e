import { expect, onTestFinished, test, vi } from "vitest";
import { capabilitySet, fakeBackend } from "../../test/support/fake-backends.ts";
import { openSession } from "../../test/support/sessions.ts";

/** A session with a backend that says how long its lists are good, and has changed them since. */
async function setUp(ttlMs: number | undefined) {
  vi.useFakeTimers({ toFake: ["performance"] });
  onTestFinished(() => void vi.useRealTimers());
  const withTtl = (tool: string) => ({
    ...capabilitySet({ tools: [tool] }),
    ...(ttlMs !== undefined && { ttlMs }),
  });
  const backend = fakeBackend("b", {
    outcome: (connected) => ({ ...connected, capabilities: withTtl("old") }),
  });
  const session = await openSession([backend]);
  onTestFinished(async () => session.close());
  const [connection] = backend.connections;
  if (connection !== undefined) connection.capabilitySet = withTtl("new");
  return { list: () => session.list("tools").toString() };
}

test("lists that have outlived the time their backend gave are shown once more and fetched meanwhile", async () => {
  const { list } = await setUp(30_000);

  vi.advanceTimersByTime(30_000);
  const inTime = list();
  vi.advanceTimersByTime(1);
  const tooLate = list();

  expect(inTime).toContain('"old"');
  expect(tooLate).toContain('"old"');
  await expect.poll(list).toContain('"new"');
});

test("lists of no backend at all are not to be kept", async () => {
  const session = await openSession([]);
  onTestFinished(async () => session.close());

  expect(session.cacheHint()).toMatchObject({ ttlMs: 0 });
});

test.for([undefined, 0, 30_000])(
  "lists are not fetched again for being shown while they are good (%s ms)",
  async (ttlMs) => {
    const { list } = await setUp(ttlMs);

    vi.advanceTimersByTime(9_999);
    list();
    await new Promise(setImmediate);

    expect(list()).toContain('"old"');
  },
);
