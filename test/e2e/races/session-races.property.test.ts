import * as fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { VmcpError } from "../../../src/domain/errors.ts";
import type { JsonObject } from "../../../src/domain/json.ts";
import type { AnswerSink } from "../../../src/mcp/exchange.ts";
import {
  DEFAULT_MESSAGE_LIMITS,
  parseInbound,
  type InboundNotification,
  type InboundResponse,
} from "../../../src/mcp/inbound-message.ts";
import type { LiveSession } from "../../../src/session/live-session.ts";
import { fakeBackend, message, type FakeConnection } from "../../support/fake-backends.ts";
import { CLIENT, inboundRequest, openSession } from "../../support/sessions.ts";

/** Longer than anything here takes, where no test lets time pass. */
const DRAIN_DEADLINE_MS = 60_000;
const CLIENT_ANSWER_MS = 10_000;
const RUNS = 400;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
});

afterEach(() => {
  vi.useRealTimers();
});

/** What the client of one call heard. */
interface Heard {
  readonly sink: AnswerSink;
  readonly events: JsonObject[];
  readonly ends: string[];
}

function listen(): Heard {
  const events: JsonObject[] = [];
  const ends: string[] = [];
  const sink: AnswerSink = {
    event: ({ message: event }) => {
      // A message of a backend is a JSON object.
      events.push({ ...event } as unknown as JsonObject);
      return true;
    },
    answer: () => void ends.push("answer"),
    fail: ({ code }) => void ends.push(code),
    cancelled: () => void ends.push("cancelled"),
  };
  return { sink, events, ends };
}

function cancellation(requestId: number | string): InboundNotification {
  return inbound("notification", {
    jsonrpc: "2.0",
    method: "notifications/cancelled",
    params: { requestId, reason: "enough" },
  });
}

function response(id: string): InboundResponse {
  return inbound("response", { jsonrpc: "2.0", id, result: { action: "accept", content: {} } });
}

function inbound<K extends "notification" | "response">(kind: K, value: JsonObject) {
  const parsed = parseInbound(Buffer.from(JSON.stringify(value)), DEFAULT_MESSAGE_LIMITS);
  if (parsed.kind !== kind) throw new Error(`not a ${kind}: ${JSON.stringify(value)}`);
  // The kind was just compared; the compiler does not narrow by a type parameter.
  return parsed as Extract<typeof parsed, { readonly kind: K }>;
}

/** Closes the session while the scheduler still has something to do for it. */
async function closeUnder(scheduler: fc.Scheduler, session: LiveSession): Promise<void> {
  await scheduler.waitFor(session[Symbol.asyncDispose]());
  await scheduler.waitIdle();
}

interface EndAction {
  readonly kind: "cancel" | "vanish" | "lose before" | "lose after" | "close";
  readonly call: number;
}

const CALLS = 3;

const endActions: fc.Arbitrary<readonly EndAction[]> = fc.array(
  fc.record({
    kind: fc.constantFrom("cancel", "cancel", "vanish", "lose before", "lose after", "close"),
    call: fc.nat(CALLS - 1),
  }),
  { maxLength: 6 },
);

test("however its ends race, a call has one end, and one that is cancelled at the same time at most one [R7] [R13] [I2]", async () => {
  const endings = new Set<string>();

  await fc.assert(
    fc.asyncProperty(fc.scheduler(), endActions, async (scheduler, actions) => {
      const executed: (string | number)[] = [];
      const lostAfter = new Set<string | number>();
      const backend = fakeBackend("b", {
        tools: ["echo"],
        answer: async ({ id }) => {
          await scheduler.schedule(Promise.resolve(), `execute ${id}`);
          executed.push(id);
          await scheduler.schedule(Promise.resolve(), `answer ${id}`);
          return { content: [] };
        },
      });
      const session = await openSession([backend], { drainDeadlineMs: DRAIN_DEADLINE_MS });
      const heard = Array.from({ length: CALLS }, listen);
      const exchanges = heard.map(({ sink }, id) =>
        session.forward(inboundRequest(id, "tools/call", { name: "echo" }), sink),
      );
      const vanished = new Set<number>();
      const closings: Promise<void>[] = [];
      const lose = (id: number, executionState: "not_executed" | "unknown"): void => {
        if (executionState === "unknown") lostAfter.add(id);
        const error = new VmcpError("backend_closed", "gone", { executionState });
        for (const { sinks } of backend.connections) sinks.get(id)?.fail(error);
      };
      const play = ({ kind, call }: EndAction): void => {
        if (kind === "cancel") session.notify(cancellation(call));
        else if (kind === "lose before" && !executed.includes(call)) lose(call, "not_executed");
        else if (kind === "lose after") lose(call, "unknown");
        else if (kind === "close") closings.push(session[Symbol.asyncDispose]());
        else if (kind === "vanish") {
          vanished.add(call);
          exchanges[call]?.cancel("the client is gone");
        }
      };

      const playing = actions.map(async (action) => {
        await scheduler.schedule(Promise.resolve(), action.kind);
        play(action);
      });
      await scheduler.waitFor(Promise.all(playing));
      await scheduler.waitIdle();
      await closeUnder(scheduler, session);
      await Promise.all(closings);

      for (const [id, { ends }] of heard.entries()) {
        expect(ends.length).toBeLessThanOrEqual(1);
        expect(ends.length).toBeGreaterThanOrEqual(vanished.has(id) ? 0 : 1);
        for (const end of ends) endings.add(end);
      }
      expect(session.isBusy).toBe(false);
      expect(backend.connections.every(({ isClosed }) => isClosed)).toBe(true);
      expect(vi.getTimerCount()).toBe(0);
    }),
    { numRuns: RUNS },
  );

  expect([...endings]).toEqual(expect.arrayContaining(["answer", "cancelled", "backend_closed"]));
}, 60_000);

test("a call that outlives the drain deadline of its session gets one end, and closing waits no longer [R7] [I2] [I11]", async () => {
  const backend = fakeBackend("b", {
    tools: ["echo"],
    answer: async () => new Promise(() => {}),
  });
  const session = await openSession([backend], { drainDeadlineMs: 5_000 });
  const { sink, ends } = listen();
  session.forward(inboundRequest(1, "tools/call", { name: "echo" }), sink);

  const closing = session[Symbol.asyncDispose]();
  await vi.advanceTimersByTimeAsync(4_999);
  const endsBefore = [...ends];
  await vi.advanceTimersByTimeAsync(1);
  await closing;
  backend.connections[0]?.sinks
    .get(1)
    ?.answer(message({ jsonrpc: "2.0", id: 1, result: { content: [] } }));

  expect(endsBefore).toEqual([]);
  expect(ends).toEqual(["session_closed"]);
  expect(backend.connections[0]?.cancelled).toEqual([1]);
});

const BACKEND_ID = 77;
const CLIENT_WITH_ELICITATION = { ...CLIENT, capabilities: { elicitation: {} } };

const questionEnds = fc.array(
  fc.constantFrom("answer", "answer", "time passes", "withdraw", "cancel the call", "close"),
  { minLength: 1, maxLength: 6 },
);

test("a question of a backend is answered once, whoever is first: client, clock, backend or DELETE [R17] [I2] [I7]", async () => {
  const outcomes = new Set<string>();

  await fc.assert(
    fc.asyncProperty(fc.scheduler(), questionEnds, async (scheduler, actions) => {
      const backend = fakeBackend("b", {
        tools: ["ask"],
        answer: async () => new Promise(() => {}),
      });
      const session = await openSession([backend], {
        drainDeadlineMs: 1_000,
        client: CLIENT_WITH_ELICITATION,
        clientAnswerTimeoutMs: CLIENT_ANSWER_MS,
      });
      session.notify(
        inbound("notification", { jsonrpc: "2.0", method: "notifications/initialized" }),
      );
      const { sink, events } = listen();
      session.forward(inboundRequest(1, "tools/call", { name: "ask" }), sink);
      const [connection] = backend.connections;
      if (connection === undefined) throw new Error("the backend is not connected");
      ask(connection);
      const [asked = ""] = events.flatMap(({ id }) => (typeof id === "string" ? id : []));
      let isWithdrawn = false;
      let isCancelled = false;
      const closings: Promise<void>[] = [];
      const play = async (action: string): Promise<void> => {
        if (action === "answer") session.answer(response(asked));
        else if (action === "time passes") await vi.advanceTimersByTimeAsync(CLIENT_ANSWER_MS);
        else if (action === "cancel the call") {
          isCancelled = true;
          session.notify(cancellation(1));
        } else if (action === "close") closings.push(session[Symbol.asyncDispose]());
        else {
          // A call that was cancelled has no stream on which its backend could say so.
          isWithdrawn ||= connection.sent.length === 0 && !isCancelled;
          withdraw(connection);
        }
      };

      const playing = actions.map(async (action) => {
        await scheduler.schedule(Promise.resolve(), action);
        await play(action);
      });
      await scheduler.waitFor(Promise.all(playing));
      const closing = session[Symbol.asyncDispose]();
      await vi.advanceTimersByTimeAsync(CLIENT_ANSWER_MS);
      await Promise.all([closing, ...closings]);

      const answers = connection.sent.map((bytes) => JSON.parse(bytes.toString()));
      expect(answers.map(({ id }) => id)).toEqual(isWithdrawn ? [] : [BACKEND_ID]);
      for (const answer of answers) outcomes.add(answer.error?.message ?? "answered");
      expect(session.isBusy).toBe(false);
      expect(vi.getTimerCount()).toBe(0);
    }),
    { numRuns: RUNS },
  );

  expect([...outcomes].toSorted()).toEqual([
    "The client did not answer in time",
    "The client is gone",
    "answered",
  ]);
}, 60_000);

function ask(connection: FakeConnection): void {
  connection.sinks.get(1)?.event(
    message({
      jsonrpc: "2.0",
      id: BACKEND_ID,
      method: "elicitation/create",
      params: { message: "?", requestedSchema: { type: "object", properties: {} } },
    }),
  );
}

function withdraw(connection: FakeConnection): void {
  connection.sinks.get(1)?.event(
    message({
      jsonrpc: "2.0",
      method: "notifications/cancelled",
      params: { requestId: BACKEND_ID },
    }),
  );
}
