import { expect, test } from "vitest";
import { VmcpError } from "../domain/errors.ts";
import { parseSessionId } from "../domain/ids.ts";
import { ANONYMOUS } from "../domain/identity.ts";
import type { AnswerSink, BackendMessage } from "../mcp/exchange.ts";
import {
  DEFAULT_MESSAGE_LIMITS,
  parseInbound,
  type InboundRequest,
} from "../mcp/inbound-message.ts";
import {
  fakeBackend,
  type FakeConnection,
  type FakeOptions,
} from "../../test/support/fake-backends.ts";
import { canListTasks, mergeTaskLists } from "./task-lists.ts";
import { TaskRoutes } from "./task-routes.ts";

const NEVER: FakeOptions["answer"] = async () => new Promise(() => {});

async function connectionTo(name: string, options: FakeOptions = {}): Promise<FakeConnection> {
  const backend = fakeBackend(name, options);
  await backend.connect(
    {
      sessionId: parseSessionId("s"),
      identity: ANONYMOUS,
      client: { revision: "2025-11-25", capabilities: {}, info: {} },
      listener: { unsolicited() {}, lost() {} },
    },
    new AbortController().signal,
  );
  const [connection] = backend.connections;
  if (connection === undefined) throw new Error("not connected");
  return connection;
}

function listRequest(): InboundRequest {
  const bytes = Buffer.from('{"jsonrpc":"2.0","id":1,"method":"tasks/list"}');
  // The text is a request.
  return parseInbound(bytes, DEFAULT_MESSAGE_LIMITS) as InboundRequest;
}

/** A sink and the one thing that reaches it. */
function createSink(): { readonly sink: AnswerSink; readonly reached: Promise<unknown> } {
  let reach: (what: unknown) => void = () => {};
  const reached = new Promise<unknown>((resolve) => {
    reach = resolve;
  });
  const sink: AnswerSink = {
    event: () => true,
    answer: ({ message }: BackendMessage) => reach(message),
    fail: reach,
  };
  return { sink, reached };
}

test.for<[string, NonNullable<FakeOptions["capabilities"]>, boolean]>([
  ["lists tasks", { tasks: { list: {} } }, true],
  ["has tasks and no list of them", { tasks: { cancel: {} } }, false],
  ["has no tasks", { tools: {} }, false],
  ["says null of them", { tasks: null }, false],
])("a backend that %s: %j", async ([, capabilities, expected]) => {
  const connection = await connectionTo("a", { capabilities });

  expect(canListTasks(connection)).toBe(expected);
});

test("a backend is given a time to list its tasks, and what fails is named", async () => {
  const quick = await connectionTo("quick", { answer: async () => ({ tasks: [{ taskId: "1" }] }) });
  const slow = await connectionTo("slow", { answer: NEVER });
  const { sink, reached } = createSink();

  mergeTaskLists([slow, quick], listRequest(), sink, new TaskRoutes());
  const [asked] = slow.received;
  slow.sinks.get(asked?.id ?? "")?.fail(new VmcpError("backend_timeout", "too slow"));

  expect(asked?.timeoutMs).toBe(10_000);
  expect(await reached).toEqual({
    jsonrpc: "2.0",
    id: 1,
    result: { tasks: [{ taskId: "1" }], _meta: { backends_unavailable: ["slow"] } },
  });
});

test("where all fail, the first failure is the answer", async () => {
  const one = await connectionTo("one", { answer: NEVER });
  const two = await connectionTo("two", { answer: NEVER });
  const { sink, reached } = createSink();
  const failure = new VmcpError("backend_closed", "it is gone");

  mergeTaskLists([one, two], listRequest(), sink, new TaskRoutes());
  for (const [connection, error] of [
    [two, new VmcpError("backend_timeout", "too slow")],
    [one, failure],
  ] as const) {
    connection.sinks.get(connection.received[0]?.id ?? "")?.fail(error);
  }

  expect(await reached).toBe(failure);
});

test("cancelling tells every backend that is asked, and nothing reaches the sink any more", async () => {
  const one = await connectionTo("one", { answer: NEVER });
  const two = await connectionTo("two", { answer: NEVER });
  const { sink, reached } = createSink();

  const exchange = mergeTaskLists([one, two], listRequest(), sink, new TaskRoutes());
  exchange.cancel("not needed");
  for (const { received, sinks } of [one, two]) {
    sinks.get(received[0]?.id ?? "")?.fail(new VmcpError("cancelled", "not needed"));
  }

  expect([one, two].map(({ cancelled }) => cancelled)).toEqual(
    [one, two].map(({ received }) => received.map(({ id }) => id)),
  );
  const afterwards = new Promise((resolve) => {
    setImmediate(resolve, "nothing");
  });
  expect(await Promise.race([reached, afterwards])).toBe("nothing");
});
