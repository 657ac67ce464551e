import { describe, expect, test } from "vitest";
import { VmcpError, type VmcpErrorCode } from "../domain/errors.ts";
import {
  fakeBackend,
  type FakeBackend,
  type FakeOptions,
} from "../../test/support/fake-backends.ts";
import { recordingGuard, type RecordingGuard } from "../../test/support/recording-guard.ts";
import { inboundRequest, openSession } from "../../test/support/sessions.ts";
import type { BackendMessage } from "../mcp/exchange.ts";
import type { LiveSession } from "./live-session.ts";

/** Never answers by itself: the test ends each call. */
const never = async (): Promise<never> => new Promise(() => {});

function recordingSink() {
  const answers: BackendMessage[] = [];
  const failures: VmcpError[] = [];
  return {
    answers,
    failures,
    event: () => true,
    answer: (answer: BackendMessage) => void answers.push(answer),
    fail: (error: VmcpError) => void failures.push(error),
  };
}

interface Guarded {
  readonly guard: RecordingGuard;
  readonly backend: FakeBackend;
  readonly session: LiveSession;
}

/** A session with one connected backend, whose guard has forgotten the connect. */
async function openGuarded(options: FakeOptions = {}): Promise<Guarded> {
  const guard = recordingGuard();
  const backend = fakeBackend("b", { tools: ["t"], answer: never, ...options });
  const session = await openSession([backend], { guardOf: () => guard, drainDeadlineMs: 1 });
  guard.heard.length = 0;
  return { guard, backend, session };
}

function call(session: LiveSession, id = 1) {
  const sink = recordingSink();
  const exchange = session.forward(inboundRequest(id, "tools/call", { name: "t" }), sink);
  return { sink, exchange };
}

function failure(code: VmcpErrorCode, executionState: "not_executed" | "unknown"): VmcpError {
  return new VmcpError(code, "it broke", { backend: "b", executionState });
}

function fail({ backend }: Guarded, error: VmcpError, id = 1): void {
  backend.connections.at(-1)?.sinks.get(id)?.fail(error);
}

function refusal(): VmcpError {
  return new VmcpError("backend_unreachable", "held back", {
    backend: "b",
    executionState: "not_executed",
    retryAfterSeconds: 7,
  });
}

describe("a call that was admitted", () => {
  test("succeeded when the backend answers", async () => {
    const { guard, session } = await openGuarded({ answer: async () => ({ content: [] }) });

    const { sink } = call(session);
    await expect.poll(() => sink.answers).toHaveLength(1);

    expect(guard.heard).toEqual(["admit", "succeeded"]);
    await session[Symbol.asyncDispose]();
  });

  test("failed when the backend does, once", async () => {
    const opened = await openGuarded();
    call(opened.session);

    fail(opened, failure("backend_timeout", "unknown"));
    fail(opened, failure("backend_closed", "unknown"));

    expect(opened.guard.heard).toEqual(["admit", "failed backend_timeout"]);
    await opened.session[Symbol.asyncDispose]();
  });

  test.for<VmcpErrorCode>([
    "session_closed",
    "client_answer_timeout",
    "backend_busy",
    "invalid_request",
  ])("was withdrawn when it ends by %s", async (code) => {
    const opened = await openGuarded();
    call(opened.session);

    fail(opened, failure(code, "not_executed"));

    expect(opened.guard.heard).toEqual(["admit", "withdrawn"]);
    await opened.session[Symbol.asyncDispose]();
  });

  test("was withdrawn when its reader goes, when the client cancels, and when the session closes", async () => {
    const { guard, session } = await openGuarded();
    const { exchange } = call(session, 1);
    call(session, 2);
    call(session, 3);

    exchange.cancel("gone");
    exchange.cancel("gone");
    session.notify({
      kind: "notification",
      method: "notifications/cancelled",
      params: { requestId: 2 },
      bytes: Buffer.from("{}"),
    });
    await session[Symbol.asyncDispose]();

    expect(guard.heard).toEqual(["admit", "admit", "admit", "withdrawn", "withdrawn", "withdrawn"]);
  });

  test("is admitted anew when it is sent again, and only its last end counts", async () => {
    const opened = await openGuarded();
    call(opened.session);

    fail(opened, failure("backend_session_lost", "not_executed"));
    await expect.poll(() => opened.backend.connections[1]?.received).toHaveLength(1);
    fail(opened, failure("backend_session_lost", "not_executed"));

    expect(opened.guard.heard).toEqual([
      "admit",
      "withdrawn",
      // The new connection, and the call on it.
      "admit",
      "succeeded",
      "admit",
      "failed backend_session_lost",
    ]);
    await opened.session[Symbol.asyncDispose]();
  });
});

describe("a call that is refused", () => {
  test("never reaches the backend and leaves nothing in flight", async () => {
    const { guard, backend, session } = await openGuarded();
    guard.refusal = refusal();

    expect(() => call(session)).toThrow(refusal());
    expect(backend.connections[0]?.received).toEqual([]);
    expect([guard.heard, session.isBusy]).toEqual([[], false]);
    await session[Symbol.asyncDispose]();
  });

  test("when it would be sent again fails with the refusal", async () => {
    const opened = await openGuarded();
    const { sink } = call(opened.session);

    opened.guard.refusal = refusal();
    fail(opened, failure("backend_session_lost", "not_executed"));
    await expect.poll(() => sink.failures).toHaveLength(1);

    expect(sink.failures[0]).toMatchObject({ code: "backend_unreachable", retryAfterSeconds: 7 });
    expect(opened.guard.heard).toEqual(["admit", "withdrawn"]);
    expect(opened.backend.connections).toHaveLength(1);
    await opened.session[Symbol.asyncDispose]();
  });
});

describe("a session that closes while a call waits for its backend", () => {
  test("withdraws the attempt to connect, and the call was never admitted", async () => {
    const guard = recordingGuard();
    const backend = fakeBackend("b", { tools: ["t"], beforeConnect: never });
    const session = await openSession([fakeBackend("a", { tools: ["t"] }), backend], {
      guardOf: () => guard,
      startDeadlineMs: 1,
      drainDeadlineMs: 1,
    });

    await session[Symbol.asyncDispose]();

    expect(guard.heard).toEqual(["admit", "admit", "succeeded", "withdrawn"]);
  });

  test("ends the call, which was never admitted", async () => {
    let isSlow = false;
    const opened = await openGuarded({
      beforeConnect: async () => (isSlow ? never() : undefined),
    });
    const { sink } = call(opened.session);
    isSlow = true;

    fail(opened, failure("backend_session_lost", "not_executed"));
    await expect.poll(() => opened.guard.heard).toContain("withdrawn");
    await opened.session[Symbol.asyncDispose]();

    expect(opened.guard.heard).toEqual(["admit", "withdrawn", "admit", "withdrawn"]);
    expect(sink.failures).toMatchObject([{ code: "session_closed" }]);
  });
});
