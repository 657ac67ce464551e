import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/domain/json.ts";
import { startGateway } from "../support/gateway.ts";
import { waitFor } from "../support/quiescence.ts";
import { lastMessage, openRawSession } from "../support/raw-client.ts";
import { answerText, messagesOn, requestOn, startHttp, toolCall } from "./protocol-backends.ts";
import { RELATED, startTaskBackend, taskOf, TASKS, workAsTask } from "./task-backends.ts";

describe("tasks of two backends", () => {
  // [spec:tasks-1] [spec:tasks-8] [spec:tasks-17]
  test("tasks are declared where a backend has them, and a call becomes a task as its backend says", async () => {
    await using one = await startTaskBackend("task-1");
    await using two = await startHttp({ name: "two" });
    await using gateway = await startGateway({ backends: [one.entry("one"), two.entry("two")] });
    const session = await openRawSession(gateway.url);

    const answer = await session.post(workAsTask(1, "work"));

    expect(JSON.parse(session.initializeAnswer.text)).toMatchObject({
      result: { capabilities: { tasks: TASKS } },
    });
    expect(lastMessage(answer)).toEqual({
      jsonrpc: "2.0",
      id: 1,
      result: { task: taskOf("task-1", "working") },
    });
  });

  // [spec:tasks-9] [spec:tasks-10] [spec:tasks-11] [spec:tasks-12] [spec:tasks-15] [spec:tasks-17]
  test("get, result and cancel go to the task's own backend by taskId and answer what it says", async () => {
    const result = { content: [], _meta: { [RELATED]: { taskId: "task-2" } }, odd: 1 };
    const error = { code: -32_602, message: "the task has ended" };
    await using one = await startTaskBackend("task-1");
    await using two = await startTaskBackend(
      "task-2",
      new Map<string, JsonObject>([
        ["tasks/get", { result: taskOf("task-2", "completed") }],
        ["tasks/result", { result }],
        ["tasks/cancel", { error }],
      ]),
    );
    await using gateway = await startGateway({ backends: [one.entry("one"), two.entry("two")] });
    const session = await openRawSession(gateway.url);
    await session.post(workAsTask(1, "one_work"));
    await session.post(workAsTask(2, "two_work"));
    const params = { taskId: "task-2", _meta: { [RELATED]: { taskId: "task-1" } } };

    const answers = [
      await session.request("tasks/get", params),
      await session.request("tasks/result", params),
      await session.request("tasks/cancel", params),
    ];

    expect(answers).toEqual([
      { jsonrpc: "2.0", id: 1, result: taskOf("task-2", "completed") },
      { jsonrpc: "2.0", id: 2, result },
      { jsonrpc: "2.0", id: 3, error },
    ]);
    expect(two.asked.map((message) => message["params"])).toEqual([params, params, params]);
    expect(one.asked).toEqual([]);
  });

  // [spec:tasks-14] [spec:base-4]
  test("one list shows the tasks of both, and asks each time under ids of its own", async () => {
    await using one = await startTaskBackend(
      "task-1",
      new Map<string, JsonObject>([
        ["tasks/list", { result: { tasks: [taskOf("task-1", "working")] } }],
        ["tasks/get", { result: taskOf("task-1", "working") }],
      ]),
    );
    await using two = await startTaskBackend(
      "task-2",
      new Map<string, JsonObject>([
        ["tasks/list", { result: { tasks: [taskOf("task-2", "working")] } }],
      ]),
    );
    await using gateway = await startGateway({ backends: [one.entry("one"), two.entry("two")] });
    const session = await openRawSession(gateway.url);

    const first = await session.request("tasks/list");
    const [again] = await Promise.all([
      session.request("tasks/list"),
      session.request("tasks/list"),
    ]);
    const got = await session.request("tasks/get", { taskId: "task-1" });

    const both = { result: { tasks: [{ taskId: "task-1" }, { taskId: "task-2" }] } };
    expect([first, again]).toMatchObject([both, both]);
    expect(got).toMatchObject({ result: { taskId: "task-1" } });
    const ids = two.asked.map((message) => message["id"]);
    expect(ids).toHaveLength(3);
    expect(new Set(ids).size).toBe(3);
  });

  // [spec:tasks-16]
  test.for<[string, JsonObject]>([
    ["tasks/get", { taskId: "unknown" }],
    ["tasks/result", { taskId: "unknown" }],
    ["tasks/cancel", { taskId: "unknown" }],
    ["tasks/get", {}],
    ["tasks/list", { cursor: "made-up" }],
  ])("%s with %j is refused with -32602", async ([method, params]) => {
    const empty = new Map<string, JsonObject>([["tasks/list", { result: { tasks: [] } }]]);
    await using one = await startTaskBackend("task-1", empty);
    await using two = await startTaskBackend("task-2", empty);
    await using gateway = await startGateway({ backends: [one.entry("one"), two.entry("two")] });
    const session = await openRawSession(gateway.url);

    const answer = await session.request(method, params);

    expect(answer).toMatchObject({ error: { code: -32_602 } });
    expect([...one.asked, ...two.asked]).toEqual([]);
  });

  test("another session's task is unknown", async () => {
    await using one = await startTaskBackend(
      "task-1",
      new Map<string, JsonObject>([["tasks/get", { result: taskOf("task-1", "working") }]]),
    );
    await using gateway = await startGateway({ backends: [one.entry("one")] });
    const alice = await openRawSession(gateway.url);
    const eve = await openRawSession(gateway.url);
    await alice.post(workAsTask(1, "work"));

    const answers = [
      await alice.request("tasks/get", { taskId: "task-1" }),
      await eve.request("tasks/get", { taskId: "task-1" }),
    ];

    expect(answers).toMatchObject([{ result: { taskId: "task-1" } }, { error: { code: -32_602 } }]);
  });
});

// [spec:tasks-6]
test("a call to a backend without tasks is answered as any other, whatever it says of them", async () => {
  await using backend = await startHttp();
  await using gateway = await startGateway({ backends: [backend.entry()] });
  const session = await openRawSession(gateway.url);

  const answer = await session.post(workAsTask(1, "count"));

  expect(JSON.parse(session.initializeAnswer.text)).not.toHaveProperty("result.capabilities.tasks");
  expect(answerText(lastMessage(answer))).toBe("1");
});

// [spec:tasks-4] [spec:tasks-5]
test.for(["forbidden", "required"])(
  "a tool for which tasks are %s says so itself",
  async (taskSupport) => {
    const error = { code: -32_601, message: `Tasks are ${taskSupport} for this tool` };
    await using backend = await startTaskBackend(
      "task-1",
      new Map<string, JsonObject>([["tools/call", { error }]]),
    );
    backend.backend.change({
      tools: [JSON.stringify({ name: "odd", inputSchema: {}, execution: { taskSupport } })],
    });
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);

    const call = taskSupport === "required" ? toolCall(1, "odd") : workAsTask(1, "odd");

    expect(lastMessage(await session.post(call))).toEqual({ jsonrpc: "2.0", id: 1, error });
  },
);

// [spec:progress-8]
test("progress and status of a task are heard after the call that made it has been answered", async () => {
  await using backend = await startTaskBackend("task-1");
  await using gateway = await startGateway({ backends: [backend.entry()] });
  const session = await openRawSession(gateway.url);
  const other = await openRawSession(gateway.url);
  const [stream, othersStream] = [await session.openStream(), await other.openStream()];
  await backend.canSpeakTo(2);
  await session.post(workAsTask(1, "work", "of-the-task"));

  const progress = { progressToken: "of-the-task", progress: 1 };
  backend.backend.notify("notifications/progress", progress);
  backend.backend.notify("notifications/tasks/status", taskOf("task-1", "working"));

  await waitFor(() => stream.events.length === 2);
  expect(messagesOn(stream)).toMatchObject([
    { method: "notifications/progress", params: progress },
    { method: "notifications/tasks/status", params: { taskId: "task-1" } },
  ]);
  const toOther = messagesOn(othersStream).map(({ method }) => method);
  expect(toOther).not.toContain("notifications/progress");
  stream.destroy();
  othersStream.destroy();
});

// [spec:tasks-1] [spec:tasks-11]
test("a backend asks a client that declared tasks for the state of one, and for nothing of a client that did not", async () => {
  await using backend = await startHttp();
  await using gateway = await startGateway({ backends: [backend.entry()] });
  const able = await openRawSession(gateway.url, { capabilities: { tasks: { list: {} } } });
  const unable = await openRawSession(gateway.url);
  const params = { taskId: "of-the-client" };
  const ask = toolCall(1, "ask", { method: "tasks/get", params });

  const refused = await unable.post(ask);
  const call = await able.startPost(ask);
  const request = await requestOn([call], "tasks/get");
  await able.post({ jsonrpc: "2.0", id: request.id, result: taskOf("of-the-client", "working") });
  await call.ended;

  expect(JSON.parse(answerText(lastMessage(refused)))).toMatchObject({ error: { code: -32_601 } });
  expect(request["params"]).toEqual(params);
  expect(JSON.parse(answerText(lastMessage(call)))).toMatchObject({ result: params });
});
