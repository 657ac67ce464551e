import { array, assert, asyncProperty, boolean, constantFrom } from "fast-check";
import { expect, test } from "vitest";
import { VmcpError } from "../domain/errors.ts";
import { fakeBackend, message } from "../../test/support/fake-backends.ts";
import { linkHost } from "../../test/support/link-host.ts";
import { recordingGuard } from "../../test/support/recording-guard.ts";
import { BackendLink } from "./backend-link.ts";
import { Call } from "./call.ts";

const never = async (): Promise<never> => new Promise(() => {});

/** What can happen to a call, from the side of the backend, the client or the session. */
const STEPS = [
  "answer",
  "lost",
  "closed before",
  "closed after",
  "timeout",
  "error answer",
  "reader gone",
  "client cancels",
  "session closes",
  "a moment passes",
] as const;

type Step = (typeof STEPS)[number];

async function openCall(isRepeatable: boolean) {
  const guard = recordingGuard();
  const backend = fakeBackend("b", { answer: never });
  const link = new BackendLink({
    backend: { ...backend, policy: { trustsAnnotations: true } },
    guard,
    host: linkHost({ now: () => 0 }),
  });
  await link.ready();
  guard.heard.length = 0;
  const told: string[] = [];
  let ended = 0;
  const call = new Call(
    {
      admitEvent: (_call, event) => event,
      answered: (_call, answer) => answer,
      isRepeatable: () => isRepeatable,
      ended: () => void (ended += 1),
    },
    link,
    { id: 1, method: "tools/call", bytes: Buffer.from("{}") },
    {
      event: () => true,
      answer: (answer) => void told.push(answer.message.result?.["_meta"] ? "marked" : "answer"),
      fail: ({ code }) => void told.push(code),
      cancelled: () => void told.push("cancelled"),
    },
  );
  call.start();
  /** Every sink that a connection was given: a late word may come from any of them. */
  const sinks = () => backend.connections.flatMap(({ sinks: given }) => [...given.values()]);
  const failAll = (code: VmcpError["code"], state: "unknown" | "not_executed"): void => {
    for (const sink of sinks())
      sink.fail(new VmcpError(code, "it broke", { executionState: state }));
  };
  const take: Readonly<Record<Step, () => void>> = {
    answer: () => {
      for (const sink of sinks()) sink.answer(message({ jsonrpc: "2.0", id: 1, result: {} }));
    },
    "error answer": () => {
      const error = { code: -32_602, message: "no" };
      for (const sink of sinks()) sink.answer(message({ jsonrpc: "2.0", id: 1, error }));
    },
    lost: () => failAll("backend_session_lost", "not_executed"),
    "closed before": () => failAll("backend_closed", "not_executed"),
    "closed after": () => failAll("backend_closed", "unknown"),
    timeout: () => failAll("backend_timeout", "unknown"),
    "reader gone": () => call.cancel("gone"),
    "client cancels": () => call.cancelByClient("changed its mind"),
    "session closes": () => call.abort(new VmcpError("session_closed", "closed")),
    "a moment passes": () => {},
  };
  const sent = (): number => backend.connections.flatMap(({ received }) => received).length;
  return { guard, link, told, take, sent, endedCount: () => ended };
}

test("however its ends meet, a call ends once, runs at most twice, and its uses are all told [R13] [I2]", async () => {
  await assert(
    asyncProperty(
      array(constantFrom(...STEPS), { maxLength: 8 }),
      boolean(),
      async (steps, isRepeatable) => {
        const { guard, link, told, take, sent, endedCount } = await openCall(isRepeatable);

        for (const step of steps) {
          take[step]();
          // Steps without a moment between them fall into the same tick.
          // oxlint-disable-next-line no-await-in-loop
          if (step === "a moment passes") await new Promise((resolve) => setImmediate(resolve));
        }
        await new Promise((resolve) => setImmediate(resolve));
        take["session closes"]();

        expect(told.length).toBeLessThanOrEqual(1);
        expect(endedCount()).toBe(1);
        expect(sent()).toBeLessThanOrEqual(2);
        const admits = guard.heard.filter((word) => word === "admit").length;
        expect(guard.heard.length).toBe(2 * admits);
        expect(link.callsInFlight).toBe(0);
        await link[Symbol.asyncDispose]();
      },
    ),
    { numRuns: 300 },
  );
});

test.for([
  ["closed after", true, 2],
  ["closed after", false, 1],
  ["timeout", true, 1],
] as const)(
  "a call that may have run and ends by %s, repeatable: %s, is sent %i times in all",
  async ([step, isRepeatable, times]) => {
    const { link, take, sent } = await openCall(isRepeatable);

    take[step]();
    await new Promise((resolve) => setImmediate(resolve));
    take[step]();
    await new Promise((resolve) => setImmediate(resolve));

    expect(sent()).toBe(times);
    await link[Symbol.asyncDispose]();
  },
);

test.for([
  ["answer", "marked", false],
  ["error answer", "answer", true],
] as const)(
  "after a loss, an %s is told as %s and leaves the loss to be told: %s",
  async ([step, heard, isStillUntold]) => {
    const { link, take, told } = await openCall(false);

    take.lost();
    await new Promise((resolve) => setImmediate(resolve));
    take[step]();

    expect(told).toEqual([heard]);
    expect(link.takeUntoldLoss()).toBe(isStillUntold);
    await link[Symbol.asyncDispose]();
  },
);
