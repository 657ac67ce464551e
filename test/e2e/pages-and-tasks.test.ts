import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/domain/json.ts";
import { startGateway } from "../support/gateway.ts";
import { startHttpLedger } from "../support/ledger-backend.ts";
import { openRawSession } from "../support/raw-client.ts";

function manyTools(prefix: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_value, index) =>
    JSON.stringify({ name: `${prefix}${index}`, inputSchema: { type: "object" } }),
  );
}

describe("a list that does not fit one page", () => {
  test("is read page by page, each tool once, from backends that page too", async () => {
    await using one = await startHttpLedger({ tools: manyTools("a", 700), pageSize: 90 });
    await using two = await startHttpLedger({ tools: manyTools("b", 700), pageSize: 333 });
    await using gateway = await startGateway({
      backends: [
        { name: "one", url: one.url },
        { name: "two", url: two.url },
      ],
    });
    const session = await openRawSession(gateway.url);

    const names: string[] = [];
    let cursor: string | undefined;
    let pages = 0;
    do {
      const params: JsonObject = cursor === undefined ? {} : { cursor };
      const { result } = (await session.request("tools/list", params)) as {
        result: { tools: { name: string }[]; nextCursor?: string };
      };
      names.push(...result.tools.map(({ name }) => name));
      cursor = result.nextCursor;
      pages += 1;
    } while (cursor !== undefined);

    expect(pages).toBe(2);
    expect(names.filter((name) => /^[ab]\d+$/.test(name))).toHaveLength(1400);
    expect(new Set(names).size).toBe(names.length);
  });

  test.for(["nonsense", "", 5, null])("the cursor %j is invalid", async (cursor) => {
    await using backend = await startHttpLedger();
    await using gateway = await startGateway({ backends: [{ name: "b1", url: backend.url }] });
    const session = await openRawSession(gateway.url);

    const answer = await session.request("tools/list", { cursor });

    expect(answer).toMatchObject({ error: { code: -32_602 } });
  });
});

describe("tasks", () => {
  const taskJson = (taskId: string) =>
    `{"task":{"taskId":"${taskId}","status":"working","createdAt":"2025-11-25T00:00:00Z","ttl":60000}}`;
  const tasks = { list: {}, cancel: {}, requests: { tools: { call: {} } } };

  test("a task is found again at the backend that made it, and unknown ones are refused", async () => {
    const script = (name: string) => ({
      name,
      capabilities: { tools: {}, tasks },
      tools: [`{"name":"${name}_job","inputSchema":{"type":"object"}}`],
      results: new Map([[`${name}_job`, taskJson(`task-of-${name}`)]]),
    });
    await using one = await startHttpLedger(script("one"));
    await using two = await startHttpLedger(script("two"));
    await using gateway = await startGateway({
      backends: [
        { name: "one", url: one.url },
        { name: "two", url: two.url },
      ],
    });
    const session = await openRawSession(gateway.url);

    const created = await session.request("tools/call", { name: "two_job", task: { ttl: 60_000 } });
    await session.request("tasks/get", { taskId: "task-of-two" });
    const unknown = await session.request("tasks/get", { taskId: "task-of-one" });

    expect(JSON.parse(session.initializeAnswer.text).result.capabilities.tasks).toEqual(tasks);
    expect(created).toMatchObject({ result: { task: { taskId: "task-of-two" } } });
    expect(two.ledger.messages.map(({ method }) => method)).toContain("tasks/get");
    expect(one.ledger.messages.map(({ method }) => method)).not.toContain("tasks/get");
    expect(unknown).toMatchObject({ error: { code: -32_602 } });
  });

  // [spec:tasks-2] [spec:tasks-3]
  test("a backend that declared no tasks is asked for the answer itself", async () => {
    await using one = await startHttpLedger({ name: "one", capabilities: { tools: {}, tasks } });
    await using two = await startHttpLedger({ name: "two", capabilities: { tools: {} } });
    await using gateway = await startGateway({
      backends: [
        { name: "one", url: one.url },
        { name: "two", url: two.url },
      ],
    });
    const session = await openRawSession(gateway.url);
    const task = { ttl: 60_000 };

    for (const name of ["one_echo", "two_echo"]) {
      await session.request("tools/call", { name, task, arguments: { text: "x" } });
    }

    const paramsAt = ({ ledger }: typeof one): unknown =>
      JSON.parse(ledger.messages.find(({ method }) => method === "tools/call")?.text ?? "{}")
        .params;
    expect(paramsAt(one)).toEqual({ name: "echo", task, arguments: { text: "x" } });
    expect(paramsAt(two)).toEqual({ name: "echo", arguments: { text: "x" } });
  });
});
