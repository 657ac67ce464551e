import { expect, test } from "vitest";
import type { JsonObject } from "../../src/domain/json.ts";
import {
  resultFor,
  sendJson,
  startHttpBackend,
  type HttpBackend,
  type Reply,
} from "../support/backend/http-backend.ts";
import { discovered } from "../support/backend/stateless-script.ts";
import { startGateway } from "../support/gateway.ts";
import { askStateless, resultOf } from "../support/stateless-client.ts";

const TASKS = "io.modelcontextprotocol/tasks";
const KNOWS_TASKS = { capabilities: { extensions: { [TASKS]: {} } } };

/** A stateless backend whose one tool goes on as a task of always the same id. */
async function startTaskBackend(tool: string): Promise<HttpBackend> {
  const reply =
    (result: object): Reply =>
    (response, seen) =>
      sendJson(response, resultFor(seen, { resultType: "complete", ...result }));
  const task = { taskId: "task-1", status: "working", ttlMs: null, pollIntervalMs: 5 };
  const hint = { ttlMs: 0, cacheScope: "private" };
  return startHttpBackend({
    on: {
      "server/discover": discovered({ capabilities: { tools: {}, extensions: { [TASKS]: {} } } }),
      "tools/list": reply({ tools: [{ name: tool, inputSchema: { type: "object" } }], ...hint }),
      "tools/call": reply({ ...task, resultType: "task" }),
      "tasks/get": reply({ ...task, status: "completed", result: { content: [], from: tool } }),
      "tasks/update": reply({}),
      "tasks/cancel": reply({}),
    },
  });
}

test("a task of a stateless backend is had, updated and cancelled where it was made, whatever its id [B17]", async () => {
  await using left = await startTaskBackend("left");
  await using right = await startTaskBackend("right");
  const backends = [
    { name: "l", url: left.url },
    { name: "r", url: right.url },
  ];
  await using gateway = await startGateway({ backends });
  await gateway.vmcp.probed();
  const ask = async (method: string, params: JsonObject): Promise<JsonObject> =>
    resultOf(gateway.url, method, params, KNOWS_TASKS);

  const first = await ask("tools/call", { name: "left" });
  const second = await ask("tools/call", { name: "right" });
  const taskId = second["taskId"] ?? "";
  const got = await ask("tasks/get", { taskId });
  await ask("tasks/update", { taskId, inputResponses: {} });
  const cancelled = await ask("tasks/cancel", { taskId });
  const { capabilities } = await ask("server/discover", {});

  expect(first).toMatchObject({ resultType: "task", taskId: "task-1" });
  expect(taskId).not.toBe("task-1");
  expect(got).toMatchObject({ taskId, status: "completed", result: { from: "right" } });
  expect(cancelled).toMatchObject({ resultType: "complete" });
  expect(right.of("tasks/update")).toHaveLength(1);
  expect(right.of("tasks/get")[0]).toMatchObject({
    headers: { "mcp-name": "task-1" },
    message: { params: { taskId: "task-1" } },
  });
  expect(left.of("tasks/get")).toEqual([]);
  expect(capabilities).toMatchObject({ extensions: { [TASKS]: {} } });
});

test.for(["tasks/get", "tasks/update", "tasks/cancel"])(
  "%s needs a client that knows of tasks, and then a task",
  async (method) => {
    await using backend = await startTaskBackend("only");
    await using gateway = await startGateway({ backends: [{ name: "b", url: backend.url }] });
    await gateway.vmcp.probed();
    const params = { taskId: "none", inputResponses: {} };

    const unaware = await askStateless(gateway.url, method, params);
    const unknown = await askStateless(gateway.url, method, params, KNOWS_TASKS);

    expect(unaware).toMatchObject({
      error: { code: -32_021, data: { requiredCapabilities: { extensions: { [TASKS]: {} } } } },
    });
    expect(unknown).toMatchObject({ error: { code: -32_602 } });
    expect(backend.of(method)).toEqual([]);
  },
);
