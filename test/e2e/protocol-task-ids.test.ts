import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/domain/json.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";
import { waitFor } from "../support/quiescence.ts";
import { lastMessage, openRawSession, type RawSession } from "../support/raw-client.ts";
import {
  answerText,
  backendSessionOf,
  messagesOn,
  requestOn,
  startHttp,
  toolCall,
  type TestBackend,
} from "./protocol-backends.ts";
import { RELATED, startTaskBackend, taskOf, workAsTask, type TaskAnswer } from "./task-backends.ts";

interface TwoBackends extends AsyncDisposable {
  readonly one: TestBackend & { readonly asked: JsonObject[] };
  readonly two: TestBackend & { readonly asked: JsonObject[] };
  readonly gateway: Gateway;
}

/** Two backends that number their tasks from 1, and answer the same to everything but for a status. */
async function startTwins(): Promise<TwoBackends> {
  const [one, two] = await Promise.all([
    startTaskBackend("1", answersWith("working")),
    startTaskBackend("1", answersWith("completed")),
  ]);
  return disposable(one, two);
}

function answersWith(status: string): ReadonlyMap<string, TaskAnswer> {
  return new Map<string, TaskAnswer>([
    ["tasks/get", { result: taskOf("1", status) }],
    ["tasks/cancel", { result: taskOf("1", status) }],
    ["tasks/list", { result: { tasks: [taskOf("1", status)] } }],
    ["tasks/result", { result: { content: [], status, _meta: { [RELATED]: { taskId: "1" } } } }],
  ]);
}

async function disposable(one: TwoBackends["one"], two: TwoBackends["two"]): Promise<TwoBackends> {
  const gateway = await startGateway({ backends: [one.entry("one"), two.entry("two")] });
  const close = async (): Promise<void> => {
    await gateway[Symbol.asyncDispose]();
    await Promise.all([one[Symbol.asyncDispose](), two[Symbol.asyncDispose]()]);
  };
  return { one, two, gateway, [Symbol.asyncDispose]: close };
}

/** Makes a task at each backend; the second one's id is the first one's with a tag. */
async function openWithTasks({ gateway }: TwoBackends): Promise<RawSession> {
  const session = await openRawSession(gateway.url);
  const created = [
    lastMessage(await session.post(workAsTask(101, "one_work"))),
    lastMessage(await session.post(workAsTask(102, "two_work"))),
  ];
  expect(created).toEqual([
    { jsonrpc: "2.0", id: 101, result: { task: taskOf("1", "working") } },
    { jsonrpc: "2.0", id: 102, result: { task: taskOf("1~two", "working") } },
  ]);
  return session;
}

describe("two backends that use the same ids for their tasks", () => {
  // [spec:tasks-7]
  test.for(["tasks/get", "tasks/cancel"])(
    "%s reaches the task that is meant, under the id of its backend",
    async (method) => {
      await using twins = await startTwins();
      const session = await openWithTasks(twins);

      const answers = [
        await session.request(method, { taskId: "1" }),
        await session.request(method, { taskId: "1~two" }),
      ];

      expect(answers).toMatchObject([
        { result: taskOf("1", "working") },
        { result: taskOf("1~two", "completed") },
      ]);
      expect([twins.one, twins.two].map(({ asked }) => asked.map(({ params }) => params))).toEqual([
        [{ taskId: "1" }],
        [{ taskId: "1" }],
      ]);
    },
  );

  // [spec:tasks-7] [spec:tasks-10]
  test("tasks/result names in its _meta the task that was asked for", async () => {
    await using twins = await startTwins();
    const session = await openWithTasks(twins);

    const answers = [
      await session.request("tasks/result", { taskId: "1" }),
      await session.request("tasks/result", { taskId: "1~two" }),
    ];

    expect(answers).toMatchObject([
      { result: { status: "working", _meta: { [RELATED]: { taskId: "1" } } } },
      { result: { status: "completed", _meta: { [RELATED]: { taskId: "1~two" } } } },
    ]);
  });

  // [spec:tasks-7] [spec:tasks-14]
  test("one list shows both, each under an id by which it is found", async () => {
    await using twins = await startTwins();
    const session = await openRawSession(twins.gateway.url);

    const listed = await session.request("tasks/list");
    const got = await session.request("tasks/get", { taskId: "1~two" });

    expect(listed).toMatchObject({
      result: { tasks: [taskOf("1", "working"), taskOf("1~two", "completed")] },
    });
    expect(got).toMatchObject({ result: taskOf("1~two", "completed") });
  });

  // [spec:tasks-7]
  test("a status that is announced is the one of the backend's own task", async () => {
    await using twins = await startTwins();
    const session = await openWithTasks(twins);
    const stream = await session.openStream();
    await Promise.all([twins.one.canSpeakTo(1), twins.two.canSpeakTo(1)]);

    twins.two.backend.notify("notifications/tasks/status", taskOf("1", "failed"));
    await waitFor(() => stream.events.length === 1);
    twins.one.backend.notify("notifications/tasks/status", taskOf("1", "completed"));
    await waitFor(() => stream.events.length === 2);

    expect(messagesOn(stream)).toMatchObject([
      { params: taskOf("1~two", "failed") },
      { params: taskOf("1", "completed") },
    ]);
    stream.destroy();
  });

  // [spec:tasks-7] [spec:tasks-11]
  test.for(["one", "two"])(
    "a question that belongs to a task of %s names it to the client, and the answer to the backend",
    async (name) => {
      await using twins = await startTwins();
      const { gateway } = twins;
      const session = await openRawSession(gateway.url, { capabilities: { elicitation: {} } });
      for (const [index, tool] of ["one_work", "two_work"].entries()) {
        await session.post(workAsTask(101 + index, tool));
      }
      const _meta = { [RELATED]: { taskId: "1" } };
      const params = { message: "?", requestedSchema: { type: "object", properties: {} }, _meta };

      const call = await session.startPost(
        toolCall(1, `${name}_ask`, { method: "elicitation/create", params }),
      );
      const request = await requestOn([call], "elicitation/create");
      const shown = { ...params, _meta: { [RELATED]: { taskId: name === "one" ? "1" : "1~two" } } };
      await session.post({
        jsonrpc: "2.0",
        id: request.id,
        result: { action: "decline", _meta: shown._meta },
      });
      await call.ended;

      expect(request["params"]).toEqual(shown);
      expect(JSON.parse(answerText(lastMessage(call)))).toMatchObject({
        result: { action: "decline", _meta },
      });
    },
  );

  // [spec:tasks-7] [spec:tasks-11]
  test("a question outside any call names the task too", async () => {
    await using twins = await startTwins();
    const session = await openRawSession(twins.gateway.url, { capabilities: { roots: {} } });
    for (const [index, tool] of ["one_work", "two_work"].entries()) {
      await session.post(workAsTask(101 + index, tool));
    }
    const own = await backendSessionOf(twins.two, session, "two_whoami");
    const stream = await session.openStream();
    await twins.two.canSpeakTo(1);

    const _meta = { [RELATED]: { taskId: "1" } };
    const asking = twins.two.backend.request(own, "roots/list", { _meta });
    const { id, ...request } = await requestOn([stream], "roots/list");
    await session.post({ jsonrpc: "2.0", id, result: { roots: [], _meta: tagged() } });

    expect(request["params"]).toEqual({ _meta: tagged() });
    expect(JSON.parse(await asking)).toMatchObject({ result: { roots: [], _meta } });
    stream.destroy();
  });

  // [spec:tasks-7] [spec:tasks-11]
  test("a call that belongs to a task names it to its backend, and no other byte of it changes", async () => {
    await using twins = await startTwins();
    const session = await openWithTasks(twins);
    const args = '{ "big": 12345678901234567890, "taskId": "1~two" }';
    const related = (taskId: string): string => `{ "${RELATED}" : { "taskId" : "${taskId}" } }`;
    const callOf = (name: string, taskId: string): string =>
      `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"${name}","arguments":${args},"_meta":${related(taskId)}}}`;

    const answer = await session.post(callOf("two_raw", "1~two"));

    const sent = twins.two.backend.ledger.messages.findLast(
      ({ method }) => method === "tools/call",
    );
    expect(sent?.text).toBe(callOf("raw", "1"));
    expect(answerText(lastMessage(answer))).toBe(args);
  });

  test("a session in which only one of them made a task sees its id as it is", async () => {
    await using twins = await startTwins();
    await openWithTasks(twins);
    const other = await openRawSession(twins.gateway.url);

    const created = lastMessage(await other.post(workAsTask(1, "two_work")));

    expect(created).toMatchObject({ result: { task: { taskId: "1" } } });
  });
});

describe("the tasks of several backends page by page", () => {
  /** Lists `count` tasks, `perPage` at a time; a cursor is the index to go on from. */
  function pagesOf(prefix: string, count: number, perPage: number): TaskAnswer {
    return ({ cursor = "0" }) => {
      const from = Number(cursor);
      if (!Number.isInteger(from)) return { error: { code: -32_602, message: "no such page" } };
      const until = Math.min(count, from + perPage);
      const tasks = Array.from({ length: until - from }, (_value, index) =>
        taskOf(`${prefix}${from + index}`, "working"),
      );
      return { result: { tasks, ...(until < count && { nextCursor: String(until) }) } };
    };
  }

  interface Page {
    readonly result: {
      readonly tasks: readonly { readonly taskId: string }[];
      readonly nextCursor?: string;
      readonly _meta?: JsonObject;
    };
  }

  async function pageAt(session: RawSession, cursor?: string): Promise<Page["result"]> {
    const answer = await session.request("tasks/list", cursor === undefined ? {} : { cursor });
    // The callers ask for pages that exist.
    return (answer as Page).result;
  }

  async function startPaged(one: TaskAnswer, two: TaskAnswer): Promise<TwoBackends> {
    return disposable(
      await startTaskBackend("a0", new Map([["tasks/list", one]])),
      await startTaskBackend("b0", new Map([["tasks/list", two]])),
    );
  }

  // [spec:tasks-13] [spec:tasks-14]
  test("each task stands on one page, however differently the backends page", async () => {
    await using paged = await startPaged(pagesOf("a", 5, 2), pagesOf("b", 4, 3));
    const session = await openRawSession(paged.gateway.url);

    const pages: (readonly string[])[] = [];
    let cursor: string | undefined;
    do {
      const page = await pageAt(session, cursor);
      pages.push(page.tasks.map(({ taskId }) => taskId));
      cursor = page.nextCursor;
    } while (cursor !== undefined);

    expect(pages).toEqual([["a0", "a1", "b0", "b1", "b2"], ["a2", "a3", "b3"], ["a4"]]);
  });

  // [spec:tasks-13] [spec:tasks-16]
  test.for<[string, (good: string) => unknown]>([
    ["made up", () => "made-up"],
    ["empty", () => ""],
    ["no text", () => 5],
    ["null", () => null],
    ["a list of no places", () => encoded([])],
    ["of no list", () => encoded({})],
    ["of a place without a cursor", () => encoded([["one"]])],
    ["of a backend that is none", () => encoded([["three", "2"]])],
    [
      "of the same backend twice",
      () =>
        encoded([
          ["one", "2"],
          ["one", "2"],
        ]),
    ],
    ["cut short", (good) => good.slice(0, 10)],
    [
      "refused by its backend",
      () =>
        encoded([
          ["one", "2"],
          ["two", "gone"],
        ]),
    ],
  ])("a cursor that is %s is refused with -32602", async ([, cursorFrom]) => {
    await using paged = await startPaged(pagesOf("a", 5, 2), pagesOf("b", 4, 3));
    const session = await openRawSession(paged.gateway.url);
    const { nextCursor = "" } = await pageAt(session);
    // Any JSON may stand there.
    const cursor = cursorFrom(nextCursor) as string;

    const answer = await session.request("tasks/list", { cursor });

    expect(answer).toMatchObject({ error: { code: -32_602 } });
  });

  test("a backend that cannot list its tasks is named, and the others' are shown", async () => {
    const refusal = { error: { code: -32_603, message: "not now" } };
    await using paged = await startPaged(refusal, pagesOf("b", 1, 1));
    const session = await openRawSession(paged.gateway.url);

    const page = await pageAt(session);

    expect(page).toMatchObject({
      tasks: [{ taskId: "b0" }],
      _meta: { backends_unavailable: ["one"] },
    });
    expect(page.nextCursor).toBeUndefined();
  });

  test("where no backend can list its tasks the request fails", async () => {
    const refusal = { error: { code: -32_603, message: "not now" } };
    await using paged = await startPaged(refusal, refusal);
    const session = await openRawSession(paged.gateway.url);

    const answer = await session.request("tasks/list");

    expect(answer).toMatchObject({ error: { code: -32_603, message: expect.any(String) } });
  });

  test("the numbers of a task pass as their backend wrote them", async () => {
    const raw = '{"taskId":"a0","status":"working","ttl":12345678901234567890}';
    await using one = await startHttp({ capabilities: { tools: {}, tasks: { list: {} } } });
    one.backend.interceptWith((_request, body, response) => {
      if (!body.includes('"tasks/list"')) return false;
      const { id } = JSON.parse(body);
      response.writeHead(200, { "content-type": "application/json" });
      response.end(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{"tasks":[${raw}]}}`);
      return true;
    });
    await using two = await startTaskBackend("b0", new Map([["tasks/list", pagesOf("b", 1, 1)]]));
    await using gateway = await startGateway({ backends: [one.entry("one"), two.entry("two")] });
    const session = await openRawSession(gateway.url);

    const answer = await session.post({ jsonrpc: "2.0", id: 1, method: "tasks/list" });

    expect(answer.text).toContain(raw);
  });
});

function encoded(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

function tagged(): JsonObject {
  return { [RELATED]: { taskId: "1~two" } };
}
