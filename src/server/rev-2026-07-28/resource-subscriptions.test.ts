import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { ENDED_EXCHANGE, type AnswerSink } from "../../mcp/exchange.ts";
import { ResourceSubscriptions } from "./resource-subscriptions.ts";

/** A session whose backend answers when the test says so. */
function setUp() {
  const asked: string[] = [];
  const waiting: AnswerSink[] = [];
  let lastId = 0;
  const subscriptions = new ResourceSubscriptions({
    session: {
      forward: ({ method, params }, sink) => {
        asked.push(`${method} ${JSON.stringify(params?.["uri"])}`);
        waiting.push(sink);
        return ENDED_EXCHANGE;
      },
    },
    nextId: () => (lastId += 1),
  });
  const answer = (): void => {
    const message = { jsonrpc: "2.0", id: 1, result: {} } as const;
    for (const sink of waiting.splice(0)) sink.answer({ bytes: Buffer.from("{}"), message });
  };
  return { subscriptions, asked, answer };
}

test("a resource is not asked for again before its backend has said that it was left", async () => {
  const { subscriptions, asked, answer } = setUp();
  const first = subscriptions.add(["a"]);
  answer();
  await first;

  subscriptions.remove(["a"]);
  const again = subscriptions.add(["a"]);
  await turn();
  const before = [...asked];
  answer();
  await turn();
  answer();

  expect(before).toEqual(['resources/subscribe "a"', 'resources/unsubscribe "a"']);
  expect(await again).toEqual(["a"]);
  expect(asked.at(-1)).toBe('resources/subscribe "a"');
});

test("the clients of a session can hear of so many resources and no more", async () => {
  const { subscriptions, asked, answer } = setUp();
  const all = subscriptions.add(Array.from({ length: 4_100 }, (_, index) => `r${index}`));
  const isDone = all.then(() => true);
  // oxlint-disable-next-line no-await-in-loop
  while (!(await Promise.race([isDone, turn(false)]))) answer();

  expect(await all).toHaveLength(4_096);
  expect(asked).toHaveLength(4_096);
});
