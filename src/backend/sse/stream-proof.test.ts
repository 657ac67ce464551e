import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { StreamProof } from "./stream-proof.ts";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** A stream whose backend accepts what it is sent unless the test says otherwise. */
function startProof(callMs: number, send: () => Promise<void> = async () => {}) {
  const sent: string[] = [];
  const onSilent = vi.fn<() => void>();
  const stream = { heard: 0 };
  const proof = new StreamProof({
    heard: () => stream.heard,
    send: async (message) => {
      sent.push(message.toString());
      await send();
    },
    callMs,
    onSilent,
  });
  return { proof, sent, onSilent, stream };
}

test("a backend that accepts a ping and says nothing on its stream is silent", async () => {
  const { proof, sent, onSilent } = startProof(1_000);

  proof.begin();
  await vi.advanceTimersByTimeAsync(999);
  const calledBefore = onSilent.mock.calls.length;
  await vi.advanceTimersByTimeAsync(300);

  expect(calledBefore).toBe(0);
  expect(onSilent).toHaveBeenCalledOnce();
  expect(sent).toEqual(['{"jsonrpc":"2.0","id":"vmcp:proof:1","method":"ping"}']);
});

test("whatever comes on the stream shows that it lives", async () => {
  const { proof, onSilent, stream } = startProof(1_000);

  proof.begin();
  await vi.advanceTimersByTimeAsync(500);
  stream.heard += 1;
  await vi.advanceTimersByTimeAsync(60_000);

  expect(onSilent).not.toHaveBeenCalled();
});

test("a backend that does not accept the ping is left in peace", async () => {
  const { proof, onSilent } = startProof(1_000, async () => {
    throw new Error("busy");
  });

  proof.begin();
  await vi.advanceTimersByTimeAsync(60_000);

  expect(onSilent).not.toHaveBeenCalled();
});

test("long calls do not make it wait longer than half a minute", async () => {
  const { proof, onSilent } = startProof(600_000);

  proof.begin();
  await vi.advanceTimersByTimeAsync(30_300);

  expect(onSilent).toHaveBeenCalledOnce();
});

test("one proof runs at a time, and the next one after it", async () => {
  const { proof, sent, stream } = startProof(1_000);

  proof.begin();
  proof.begin();
  await vi.advanceTimersByTimeAsync(500);
  proof.begin();
  const sentMeanwhile = sent.length;
  stream.heard += 1;
  await vi.advanceTimersByTimeAsync(1_000);
  proof.begin();

  expect(sentMeanwhile).toBe(1);
  expect(sent).toHaveLength(2);
  proof.stop();
});

test.for(["before", "after"])(
  "stopped %s the ping was accepted it says nothing",
  async (moment) => {
    let accept = (): void => {};
    const { proof, onSilent } = startProof(1_000, async () => {
      await new Promise<void>((resolve) => {
        accept = resolve;
      });
    });
    proof.begin();
    await vi.advanceTimersByTimeAsync(0);

    if (moment === "before") proof.stop();
    accept();
    await vi.advanceTimersByTimeAsync(100);
    if (moment === "after") proof.stop();
    proof.begin();
    await vi.advanceTimersByTimeAsync(60_000);

    expect(onSilent).not.toHaveBeenCalled();
  },
);
