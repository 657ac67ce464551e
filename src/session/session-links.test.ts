import { describe, expect, test } from "vitest";
import { fakeBackend } from "../../test/support/fake-backends.ts";
import { recordingGuard, type RecordingGuard } from "../../test/support/recording-guard.ts";
import { CLIENT, createFactory, inboundRequest, PLAIN_NAMES } from "../../test/support/sessions.ts";
import type { AggregationSettings } from "../aggregation/settings.ts";
import { VmcpError } from "../domain/errors.ts";
import { ANONYMOUS } from "../domain/identity.ts";
import type { AnswerSink } from "../mcp/exchange.ts";
import { DEFAULT_MESSAGE_LIMITS, parseInbound } from "../mcp/inbound-message.ts";
import type { SessionBackend } from "./backend-connection.ts";
import { Catalogues } from "./catalogues.ts";
import type { LiveSession } from "./live-session.ts";
import type { FactoryConfiguration, LiveSessionFactory } from "./multi-session-factory.ts";

const PLAIN: FactoryConfiguration = { aggregation: PLAIN_NAMES, drainDeadlineMs: 100 };
const PREFIXED: AggregationSettings = { ...PLAIN_NAMES, strategy: "prefix" };
const never = async (): Promise<never> => new Promise(() => {});

describe("a session that gets another configuration", () => {
  test("keeps the connection of a backend that is the same object", async () => {
    const [same, other] = [fakeBackend("same", { tools: ["s"] }), fakeBackend("other")];
    const { factory, session } = await open([same, other]);

    await factory.reconfigure(PLAIN, [same]);

    expect(same.connections.map(({ isClosed }) => isClosed)).toEqual([false]);
    expect(other.connections.map(({ isClosed }) => isClosed)).toEqual([true]);
    expect(session.backends().map(({ name }) => name)).toEqual(["same"]);
    await session[Symbol.asyncDispose]();
  });

  test("replaces the connection of a backend of the same name that is another object", async () => {
    const [before, after] = [
      fakeBackend("b", { tools: ["old"] }),
      fakeBackend("b", { tools: ["new"] }),
    ];
    const { factory, session, catalogues } = await open([before]);

    catalogues.forget(before.name);
    await factory.reconfigure(PLAIN, [after]);
    await expect.poll(() => namesOf(session)).toEqual(["new"]);

    expect(before.connections.map(({ isClosed }) => isClosed)).toEqual([true]);
    expect(after.connections).toHaveLength(1);
    await session[Symbol.asyncDispose]();
  });

  test("lists no more what a backend offered that is gone, and routes nothing to it", async () => {
    const [kept, gone] = [
      fakeBackend("kept", { tools: ["k"] }),
      fakeBackend("gone", { tools: ["g"] }),
    ];
    const { factory, session, catalogues } = await open([kept, gone]);

    catalogues.forget(gone.name);
    void factory.reconfigure(PLAIN, [kept]);

    expect(namesOf(session)).toEqual(["k"]);
    await expect(session.callTool("g", {})).rejects.toMatchObject({ code: "capability_not_found" });
    await session[Symbol.asyncDispose]();
  });

  test("has forgotten the links that a backend which is gone once handed out", async () => {
    const content = [{ type: "resource_link", uri: "gone://1", name: "one" }];
    const gone = fakeBackend("gone", { tools: ["g"], answer: async () => ({ content }) });
    const { factory, session, catalogues } = await open([gone]);
    await session.callTool("g", {});

    catalogues.forget(gone.name);
    await factory.reconfigure(PLAIN, [fakeBackend("kept")]);

    await expect(session.readResource("gone://1")).rejects.toMatchObject({
      code: "capability_not_found",
    });
    await session[Symbol.asyncDispose]();
  });

  test("tells the client once which lists changed, and only of those", async () => {
    const [kept, gone] = [
      fakeBackend("kept", { prompts: ["p"] }),
      fakeBackend("gone", { tools: ["g"] }),
    ];
    const { factory, session, catalogues } = await open([kept, gone]);
    const told = listen(session);

    catalogues.forget(gone.name);
    await factory.reconfigure(PLAIN, [kept]);
    await factory.reconfigure(PLAIN, [kept]);

    expect(told).toEqual([expect.stringContaining("tools/list_changed")]);
    await session[Symbol.asyncDispose]();
  });

  test("routes by the new configuration from the next request on", async () => {
    const backend = fakeBackend("b", { tools: ["t", "hidden"] });
    const { factory, session } = await open([backend]);
    const tools = [{ workload: backend.name, filter: ["t"], overrides: {}, excludeAll: false }];

    void factory.reconfigure({ ...PLAIN, aggregation: { ...PLAIN_NAMES, tools } }, [backend]);
    const atOnce = session.callTool("hidden", {});

    await expect(atOnce).rejects.toMatchObject({ code: "capability_not_found" });
    expect(namesOf(session)).toEqual(["t"]);
    await session[Symbol.asyncDispose]();
  });

  test("takes names that it was given before for tools that are named otherwise now, but not for hidden ones", async () => {
    const backend = fakeBackend("b", { tools: ["t", "hidden"] });
    const { factory, session } = await open([backend]);
    const tools = [{ workload: backend.name, filter: ["t"], overrides: {}, excludeAll: false }];

    await factory.reconfigure({ ...PLAIN, aggregation: { ...PREFIXED, tools } }, [backend]);

    expect(namesOf(session)).toEqual(["b_t"]);
    await expect(session.callTool("t", {})).resolves.toMatchObject({ content: [] });
    await expect(session.callTool("hidden", {})).rejects.toMatchObject({
      code: "capability_not_found",
    });
    await session[Symbol.asyncDispose]();
  });

  test("has other limits at once", async () => {
    const backend = fakeBackend("b", { tools: ["t"], answer: never });
    const { factory, session } = await open([backend]);
    const sink = recordingSink();
    session.forward(call(1, "t"), sink);

    await factory.reconfigure({ ...PLAIN, maxCallsInFlight: 1 }, [backend]);

    expect(() => session.forward(call(2, "t"), sink)).toThrow(
      expect.objectContaining({ code: "overloaded" }),
    );
    await session[Symbol.asyncDispose]();
  });
});

describe("a backend that leaves", () => {
  test("is closed when its last call is over, and not before", async () => {
    let finish = (): void => {};
    const answered = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const leaving = fakeBackend("leaving", {
      tools: ["t"],
      answer: async () => {
        await answered;
        return { content: [] };
      },
    });
    const { factory, session } = await open([leaving]);
    const sink = recordingSink();
    session.forward(call(1, "t"), sink);
    const departed = factory.reconfigure({ ...PLAIN, drainDeadlineMs: 60_000 }, []);
    const before = leaving.connections[0]?.isClosed;

    finish();
    await departed;

    expect(before).toBe(false);
    expect(sink.heard).toEqual(["answer"]);
    expect(leaving.connections[0]?.isClosed).toBe(true);
    await session[Symbol.asyncDispose]();
  });

  test("ends calls that take longer than the drain deadline, of which nobody knows whether they ran", async () => {
    const leaving = fakeBackend("leaving", { tools: ["t"], answer: never });
    const { factory, session } = await open([leaving]);
    const sink = recordingSink();
    session.forward(call(1, "t"), sink);

    await factory.reconfigure({ ...PLAIN, drainDeadlineMs: 10 }, []);

    expect(sink.heard).toEqual(["backend_closed unknown"]);
    expect(leaving.connections[0]).toMatchObject({ isClosed: true, cancelled: [1] });
    expect(session.isBusy).toBe(false);
    await session[Symbol.asyncDispose]();
  });

  test("is closed together with a session that closes meanwhile", async () => {
    const leaving = fakeBackend("leaving", { tools: ["t"], answer: never });
    const { factory, session } = await open([leaving]);
    session.forward(call(1, "t"), recordingSink());
    const departed = factory.reconfigure({ ...PLAIN, drainDeadlineMs: 20 }, []);

    await session[Symbol.asyncDispose]();
    await departed;

    expect(leaving.connections[0]?.isClosed).toBe(true);
  });

  test("and has to be connected once more for a call offers nothing any more", async () => {
    const answers = [never, async () => ({ content: [] })];
    const before = fakeBackend("b", {
      tools: ["old"],
      answer: async () => (answers.shift() ?? never)(),
    });
    const { factory, session, catalogues } = await open([before]);
    const sink = recordingSink();
    session.forward(call(1, "old"), sink);
    catalogues.forget(before.name);
    const departed = factory.reconfigure({ ...PLAIN, drainDeadlineMs: 60_000 }, [
      fakeBackend("b", { tools: ["new"] }),
    ]);
    await expect.poll(() => namesOf(session)).toEqual(["new"]);

    before.connections[0]?.sinks
      .get(1)
      ?.fail(new VmcpError("backend_session_lost", "gone", { executionState: "not_executed" }));
    await departed;

    expect(sink.heard).toEqual(["answer"]);
    expect(before.connections.map(({ isClosed }) => isClosed)).toEqual([true, true]);
    expect(namesOf(session)).toEqual(["new"]);
    await session[Symbol.asyncDispose]();
  });

  test("is the only one that its calls and connects are counted for, not who has its name now", async () => {
    const [old, current] = [recordingGuard(), recordingGuard()];
    const guards = [old, current];
    const before = fakeBackend("b", { tools: ["t"], answer: never });
    const after = fakeBackend("b", { tools: ["t"] });
    const guardOf = (): RecordingGuard => guards[0] ?? current;
    const factory = createFactory({ guardOf });
    const session = await factory.makeSession(ANONYMOUS, [before], { client: CLIENT });
    const sink = recordingSink();
    session.forward(call(1, "t"), sink);
    guards.shift();
    const departed = factory.reconfigure({ ...PLAIN, drainDeadlineMs: 60_000 }, [after]);
    await expect.poll(() => current.heard).toEqual(["admit", "succeeded"]);

    for (const connection of [0, 1]) {
      // The call is sent again after the first loss.
      // oxlint-disable-next-line no-await-in-loop
      await expect.poll(() => before.connections[connection]?.received).toHaveLength(1);
      before.connections[connection]?.sinks
        .get(1)
        ?.fail(new VmcpError("backend_session_lost", "gone", { executionState: "not_executed" }));
    }
    await departed;

    expect(sink.heard).toEqual(["backend_session_lost not_executed"]);
    expect(current.heard).toEqual(["admit", "succeeded"]);
    expect(old.heard.slice(3)).toEqual([
      "withdrawn",
      "admit",
      "succeeded",
      "admit",
      "failed backend_session_lost",
    ]);
    await session[Symbol.asyncDispose]();
  });

  test("while it is being connected is not connected in the end", async () => {
    const aborted: unknown[] = [];
    const leaving = fakeBackend("leaving", {
      beforeConnect: async (_request, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            aborted.push(signal.reason);
            reject(signal.reason);
          });
        }),
    });
    const factory = createFactory({ startDeadlineMs: 1 });
    const session = await factory.makeSession(ANONYMOUS, [leaving], { client: CLIENT });

    await factory.reconfigure(PLAIN, []);

    expect(aborted).toHaveLength(1);
    expect(leaving.connections).toEqual([]);
    await session[Symbol.asyncDispose]();
  });

  test("that does not close cleanly harms nobody", async () => {
    const leaving = fakeBackend("leaving", {
      onClose: async () => Promise.reject(new Error("no")),
    });
    const { factory, session } = await open([leaving]);

    await expect(factory.reconfigure(PLAIN, [])).resolves.toBeUndefined();

    await session[Symbol.asyncDispose]();
  });
});

describe("a factory that gets another configuration", () => {
  test("takes sessions over that are still being made", async () => {
    let proceed = (): void => {};
    const started = new Promise<void>((resolve) => {
      proceed = resolve;
    });
    const slow = fakeBackend("slow", { tools: ["s"], beforeConnect: async () => started });
    const other = fakeBackend("other", { tools: ["o"] });
    const factory = createFactory();
    const making = factory.makeSession(ANONYMOUS, [slow], { client: CLIENT });

    await factory.reconfigure(PLAIN, [other]);
    proceed();
    const session = await making;

    await expect.poll(() => namesOf(session)).toEqual(["o"]);
    expect(session.backends().map(({ name }) => name)).toEqual(["other"]);
    expect(slow.connections.every(({ isClosed }) => isClosed)).toBe(true);
    await session[Symbol.asyncDispose]();
  });

  test("leaves sessions alone that have ended", async () => {
    const { factory, session } = await open([fakeBackend("b")]);
    await session[Symbol.asyncDispose]();
    const added = fakeBackend("added");

    await factory.reconfigure(PLAIN, [added]);

    expect(added.connections).toEqual([]);
  });

  test("makes sessions as the new configuration says", async () => {
    const backend = fakeBackend("b", { tools: ["t"] });
    const { factory, session } = await open([backend]);

    await factory.reconfigure({ ...PLAIN, aggregation: PREFIXED }, [backend]);
    const next = await factory.makeSession(ANONYMOUS, [backend], { client: CLIENT });

    expect(namesOf(next)).toEqual(["b_t"]);
    expect(next.list("tools")).toBe(session.list("tools"));
    await Promise.all([session[Symbol.asyncDispose](), next[Symbol.asyncDispose]()]);
  });
});

interface Opened {
  readonly factory: LiveSessionFactory;
  readonly session: LiveSession;
  readonly catalogues: Catalogues;
}

async function open(backends: readonly SessionBackend[]): Promise<Opened> {
  const catalogues = new Catalogues(() => 0);
  const factory = createFactory({ catalogues });
  const session = await factory.makeSession(ANONYMOUS, backends, { client: CLIENT });
  return { factory, session, catalogues };
}

function namesOf(session: LiveSession): readonly string[] {
  return session.tools.map(({ name }) => name);
}

function call(id: number, name: string) {
  return inboundRequest(id, "tools/call", { name, arguments: {} });
}

function recordingSink(): AnswerSink & { readonly heard: readonly string[] } {
  const heard: string[] = [];
  return {
    heard,
    event: () => true,
    answer: () => void heard.push("answer"),
    fail: ({ code, executionState }) => void heard.push(`${code} ${executionState ?? ""}`),
  };
}

function listen(session: LiveSession): readonly string[] {
  const told: string[] = [];
  const bytes = Buffer.from('{"jsonrpc":"2.0","method":"notifications/initialized"}');
  const initialized = parseInbound(bytes, DEFAULT_MESSAGE_LIMITS);
  if (initialized.kind === "notification") session.notify(initialized);
  session.attachStream({ send: (message) => told.push(message.toString()) > 0, end: () => {} });
  return told;
}
