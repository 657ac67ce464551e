import { once } from "node:events";
import { expect, test } from "vitest";
import { ANONYMOUS } from "../domain/identity.ts";
import { VmcpError } from "../domain/errors.ts";
import { SILENT_LOGGER } from "../domain/logger.ts";
import { edgeSession, SESSION_ID } from "../gateway/testing/edge-session.ts";
import { DEFAULT_MESSAGE_LIMITS, parseInbound } from "../mcp/inbound-message.ts";
import type { EdgeSession } from "../session/edge-session.ts";
import { PipedSession } from "./piped-session.ts";
import type { EdgeSessions } from "./rev-2025-11-25/sessions.ts";
import { deferred } from "./testing/host.ts";

const INITIALIZE = {
  jsonrpc: "2.0",
  id: 0,
  method: "initialize",
  params: { protocolVersion: "2025-11-25" },
};

interface Piped {
  readonly session: PipedSession;
  /** What the client received. */
  readonly sent: readonly unknown[];
  readonly terminated: readonly string[];
  readonly receive: (message: object) => void;
}

function pipe(sessions: Partial<EdgeSessions> = {}): Piped {
  const sent: unknown[] = [];
  const terminated: string[] = [];
  const session = new PipedSession(
    {
      send: (message) => sent.push(JSON.parse(message.toString())) > 0,
      isFull: false,
      end() {},
    },
    {
      identity: ANONYMOUS,
      serverInfo: { name: "test", version: "0" },
      logger: SILENT_LOGGER,
      sessions: {
        generate: async () => SESSION_ID,
        createSession: async () => edgeSession(),
        getMultiSession: () => undefined,
        whenReady: async () => edgeSession(),
        terminate: async (id) => void terminated.push(id),
        ...sessions,
      },
    },
  );
  const receive = (message: object): void =>
    session.receive(parseInbound(Buffer.from(JSON.stringify(message)), DEFAULT_MESSAGE_LIMITS));
  return { session, sent, terminated, receive };
}

function ping(id: number): object {
  return { jsonrpc: "2.0", id, method: "ping" };
}

test("so many messages wait for the session, and one more is refused", async () => {
  const made = deferred<EdgeSession>();
  const { session, sent, receive } = pipe({ createSession: async () => made.promise });
  receive(INITIALIZE);
  for (let id = 1; id <= 101; id += 1) receive(ping(id));
  const before = [...sent];

  made.resolve(edgeSession());
  await session.finish();

  expect(before).toEqual([
    { jsonrpc: "2.0", id: 101, error: expect.objectContaining({ code: 503 }) },
  ]);
  expect(sent.slice(1)).toMatchObject(Array.from({ length: 101 }, (_value, id) => ({ id })));
});

test("a session that cannot be made leaves nothing, and can be asked for again", async () => {
  let attempts = 0;
  const { session, sent, terminated, receive } = pipe({
    createSession: async () => {
      attempts += 1;
      if (attempts === 1) throw new VmcpError("start_failed", "Nothing started");
      return edgeSession();
    },
  });

  receive(INITIALIZE);
  receive(ping(1));
  receive({ ...INITIALIZE, id: 2 });
  receive(ping(3));
  await session.finish();

  expect(sent).toMatchObject([
    { id: 0, error: { message: "Nothing started" } },
    { id: 1, error: { code: -32_600, message: "Send initialize first" } },
    { id: 2, result: { serverInfo: { name: "test" } } },
    { id: 3, result: {} },
  ]);
  // The failed one at once, the other in the end.
  expect(terminated).toEqual([SESSION_ID, SESSION_ID]);
});

test("a store that takes no session is told to the client", async () => {
  const { session, sent, receive } = pipe({ generate: async () => "" });

  receive(INITIALIZE);
  await session.finish();

  expect(sent).toMatchObject([{ id: 0, error: { code: 503, data: { retryAfterSeconds: 30 } } }]);
});

test("a second initialize is refused, and the session stays", async () => {
  const { session, sent, receive } = pipe();
  receive(INITIALIZE);
  receive({ ...INITIALIZE, id: 1 });
  receive(ping(2));

  await session.finish();

  expect(sent).toMatchObject([
    { id: 0, result: {} },
    { id: 1, error: { code: -32_600 } },
    { id: 2, result: {} },
  ]);
});

test("one that was abandoned while it was made ends it, and hears nothing of what waited", async () => {
  let isMaking = false;
  const { session, sent, terminated, receive } = pipe({
    createSession: async (_id, { signal }) => {
      isMaking = true;
      await once(signal, "abort");
      signal.throwIfAborted();
      return edgeSession();
    },
  });
  receive(INITIALIZE);
  receive(ping(1));
  await expect.poll(() => isMaking).toBe(true);

  await session.abandon();
  receive(ping(2));

  expect(terminated).toEqual([SESSION_ID]);
  expect(sent.filter((message) => "id" in Object(message))).toMatchObject([{ id: 0 }]);
});
