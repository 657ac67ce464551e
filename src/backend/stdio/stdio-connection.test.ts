import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { afterEach, expect, test } from "vitest";
import { callOf, connectStdio, type Connected } from "../../../test/support/backend/connecting.ts";
import { createRecorder } from "../../../test/support/backend/recorder.ts";
import type { LogFields } from "../../domain/logger.ts";
import type { BackendOptions } from "../options.ts";

const CHILD = resolve(import.meta.dirname, "../../../test/support/backend/child.mjs");

const cleanups: AsyncDisposable[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup[Symbol.asyncDispose]();
});

async function start(
  flags: readonly string[] = [],
  options: Partial<BackendOptions> = {},
): Promise<Omit<Connected, "http">> {
  const connected = await connectStdio([CHILD, ...flags], options);
  cleanups.push(connected);
  return connected;
}

/** A process that has ended but that nobody has reaped counts as gone. */
function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

function childCount(): number {
  return process.getActiveResourcesInfo().filter((name) => name === "ProcessWrap").length;
}

test("a call goes to the child and its answer comes back byte for byte", async () => {
  const { connection } = await start();
  const bytes = Buffer.from(
    '{"jsonrpc":"2.0","id":"a","method":"tools/call",\n"params":\r\n{"name":"echo"}}',
  );
  const recorder = createRecorder();

  connection.forward({ id: "a", method: "tools/call", bytes }, recorder);
  const answer = await recorder.answered;

  expect(answer.bytes.toString()).toBe(
    '{"jsonrpc":"2.0","id":"a","result":{"content":[],"params":{"name":"echo"}}}',
  );
});

test("calls in flight are told apart by their ids, types included", async () => {
  const { connection } = await start();
  const numbered = createRecorder();
  const named = createRecorder();

  connection.forward(callOf(1), numbered);
  connection.forward(callOf("1"), named);

  expect((await numbered.answered).message.id).toBe(1);
  expect((await named.answered).message.id).toBe("1");
});

test("an id that is in flight is refused", async () => {
  const { connection } = await start();
  connection.forward(callOf(1, "wait"), createRecorder());
  const second = createRecorder();

  connection.forward(callOf(1), second);

  expect(await second.ended).toMatchObject({
    error: { code: "invalid_request", executionState: "not_executed" },
  });
});

test("a child gets only the variables it needs and those configured for it", async () => {
  const { connection } = await start([], { env: { TOKEN: "t" }, cwd: "/" });
  const recorder = createRecorder();

  connection.forward(callOf(1, "env"), recorder);
  const { result } = (await recorder.answered).message;

  const allowed = ["HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TOKEN", "USER"];
  expect(allowed).toEqual(expect.arrayContaining(Object.keys(Object(result?.["env"]))));
  expect(result).toMatchObject({ env: { TOKEN: "t", PATH: expect.any(String) }, cwd: "/" });
});

test.for<readonly [string, string, string]>([
  ["exit", "exited with code 3", "backend_closed"],
  ["kill", "was killed by SIGKILL", "backend_closed"],
  ["exitKeepPipe", "exited with code 0", "backend_closed"],
])("a child that ends by %s fails its calls with the cause", async ([tool, cause, code]) => {
  const { connection, heard } = await start();
  const recorder = createRecorder();

  connection.forward(callOf(1, tool), recorder);

  expect(await recorder.ended).toMatchObject({
    error: { code, executionState: "unknown", message: `Backend "b1" ${cause}` },
  });
  expect(heard.losses).toHaveLength(1);
  const late = createRecorder();
  connection.forward(callOf(2), late);
  expect(await late.ended).toMatchObject({ error: { code, executionState: "not_executed" } });
});

test("a call that comes while the last words of a child are still listened for was not executed", async () => {
  const before = childCount();
  const { connection } = await start();
  const first = createRecorder();
  const late = createRecorder();
  connection.forward(callOf(1, "exitKeepPipe"), first);
  await expect.poll(childCount, { interval: 5 }).toBe(before);

  connection.forward(callOf(2), late);

  expect(await late.ended).toMatchObject({ error: { executionState: "not_executed" } });
  expect(await first.ended).toMatchObject({ error: { executionState: "unknown" } });
});

test("an answer written just before the exit is heard", async () => {
  const { connection, heard } = await start();
  const recorder = createRecorder();

  connection.forward(callOf(1, "answerAndExit"), recorder);

  expect(await recorder.ended).toMatchObject({ answer: { message: { id: 1 } } });
  await expect.poll(() => heard.losses.length).toBe(1);
});

test("lines that are no messages are skipped", async () => {
  const { connection } = await start();
  const recorder = createRecorder();

  connection.forward(callOf(1, "banner"), recorder);

  expect(await recorder.ended).toMatchObject({ answer: { message: { id: 1 } } });
});

test("a child that prints nothing but garbage is given up", async () => {
  const { connection, heard } = await start();
  const recorder = createRecorder();

  connection.forward(callOf(1, "garbage"), recorder);

  expect(await recorder.ended).toMatchObject({ error: { code: "backend_protocol" } });
  expect(heard.losses).toHaveLength(1);
});

test("a line without end is cut at its cap and ends the child", async () => {
  const { connection } = await start([], { limits: { stdioLineBytes: 1_000_000 } });
  const recorder = createRecorder();

  connection.forward(callOf(1, "endless"), recorder);

  expect(await recorder.ended).toMatchObject({
    error: { code: "backend_too_large", executionState: "unknown" },
  });
  await expect.poll(childCount).toBe(0);
});

test("the first answer counts, and answers that nobody waits for are dropped", async () => {
  const { connection, heard } = await start();
  const recorder = createRecorder();

  connection.forward(callOf(1, "twice"), recorder);
  await recorder.answered;
  const after = createRecorder();
  connection.forward(callOf(2), after);
  await after.answered;

  expect(recorder.endings).toMatchObject([{ answer: { message: { result: { n: 1 } } } }]);
  expect(heard.messages).toEqual([]);
});

test("a result that is no object proves that the call ran", async () => {
  const { connection } = await start();
  const recorder = createRecorder();

  connection.forward(callOf(1, "nullResult"), recorder);

  expect(await recorder.ended).toMatchObject({
    error: { code: "backend_protocol", executionState: "executed" },
  });
});

test("progress goes to the call that gave the token, the rest to the listener", async () => {
  const { connection, heard } = await start();
  const recorder = createRecorder();

  connection.forward(callOf(1, "progress", { progressToken: "mine" }), recorder);
  await recorder.answered;

  expect(recorder.events.map(({ message }) => message.params?.["progressToken"])).toEqual(["mine"]);
  expect(heard.messages.map(({ message }) => message.params?.["progressToken"])).toEqual([
    "forged",
  ]);
});

test("a request of the child stops the clock of its calls until it is answered", async () => {
  const { connection, heard } = await start([], {
    timeouts: { callMs: 300, clientAnswerMs: 60_000 },
  });
  const asking = createRecorder();
  const waiting = createRecorder();
  connection.forward(callOf(1, "ask"), asking);
  await expect.poll(() => heard.messages.length).toBe(1);

  connection.forward(callOf(2, "wait", { timeoutMs: 700 }), waiting);
  await waiting.ended;
  const endingsWhileAsked = [...asking.endings];
  await connection.send(Buffer.from('{"jsonrpc":"2.0","id":1,"result":{"action":"accept"}}'));

  expect(endingsWhileAsked).toEqual([]);
  expect(await asking.ended).toMatchObject({ error: { code: "backend_timeout" } });
  const methods = heard.messages.map(({ message }) => message.method);
  expect(methods).toContain("notifications/answered");
});

test("a call that is too slow fails, and the child is told", async () => {
  const { connection, heard } = await start();
  const recorder = createRecorder();

  connection.forward(callOf(5, "wait", { timeoutMs: 200 }), recorder);

  expect(await recorder.ended).toMatchObject({
    error: { code: "backend_timeout", executionState: "unknown" },
  });
  await expect
    .poll(() => heard.messages.map(({ message }) => message))
    .toMatchObject([{ method: "notifications/heard", params: { requestId: 5 } }]);
});

test("cancelling tells the child and leaves the sink alone", async () => {
  const { connection, heard } = await start();
  const recorder = createRecorder();
  const exchange = connection.forward(callOf(5, "wait"), recorder);

  exchange.cancel("no longer wanted");
  exchange.cancel("again");

  await expect
    .poll(() => heard.messages.map(({ message }) => message.params))
    .toEqual([{ requestId: 5, reason: "no longer wanted" }]);
  expect(recorder.endings).toEqual([]);
});

test("while one reader is slow the child is not read, and nothing is lost", async () => {
  const { connection } = await start();
  const slow = createRecorder();
  slow.wantsMore = false;
  const exchange = connection.forward(callOf(1, "progress", { progressToken: "t" }), slow);
  await expect.poll(() => slow.events.length).toBe(1);
  const other = createRecorder();
  connection.forward(callOf(2), other);

  exchange.resume();

  await other.answered;
  await slow.answered;
});

test("a child that does not read is not sent more than it may leave unread", async () => {
  const { connection } = await start([], { limits: { stdioQueueBytes: 1_000_000 } });
  const stopped = createRecorder();
  connection.forward(callOf("stop", "stopReading"), stopped);
  await stopped.answered;
  const recorders = Array.from({ length: 40 }, (_, id) => {
    const recorder = createRecorder();
    const bytes = Buffer.from(
      JSON.stringify({
        jsonrpc: "2.0",
        id,
        method: "tools/call",
        params: { name: "wait", arguments: { pad: "x".repeat(100_000) } },
      }),
    );
    connection.forward({ id, method: "tools/call", bytes }, recorder);
    return recorder;
  });

  const last = await recorders.at(-1)?.ended;

  expect(last).toMatchObject({ error: { code: "backend_busy", executionState: "not_executed" } });
  await connection[Symbol.asyncDispose]();
  const endings = await Promise.all(recorders.map(({ ended }) => ended));
  const states = endings.map((ending) => "error" in ending && ending.error.executionState);
  expect(new Set(states)).toEqual(new Set(["unknown", "not_executed"]));
});

test("a child that exits with unread input says how it exited, and not that its input is closed", async () => {
  const { connection, heard } = await start();
  const first = createRecorder();
  const stuck = createRecorder();
  connection.forward(callOf(1, "stopReadingAndExit"), first);
  const bytes = Buffer.from(JSON.stringify({ id: 2, pad: "x".repeat(2_000_000) }));

  connection.forward({ id: 2, method: "tools/call", bytes }, stuck);

  const error = { code: "backend_closed", message: 'Backend "b1" exited with code 3' };
  expect(await first.ended).toMatchObject({ error: { ...error, exit: { code: 3 } } });
  expect(await stuck.ended).toMatchObject({ error: { ...error, exit: { code: 3 } } });
  expect(heard.losses).toMatchObject([error]);
});

test("a child that closes its input is lost", async () => {
  const { connection, heard } = await start();
  const first = createRecorder();
  connection.forward(callOf(1, "closeInput"), first);
  await first.answered;

  await expect
    .poll(() => {
      connection.forward(callOf(Math.random()), createRecorder());
      return heard.losses.length;
    })
    .toBe(1);

  expect(heard.losses[0]).toMatchObject({ code: "backend_closed" });
});

test("stderr is read to the end, line by line, and cut where a line is too long", async () => {
  const lines: (string | number | boolean | undefined)[] = [];
  const debug = (message: string, fields: LogFields = {}): void => {
    if (message === "backend stderr") lines.push(fields["line"]);
  };
  const { connection } = await start([], { logger: { debug, info() {}, warn() {}, error() {} } });
  const recorder = createRecorder();

  connection.forward(callOf(1, "stderr"), recorder);
  await recorder.answered;

  await expect.poll(() => lines.length).toBe(3);
  expect(lines).toEqual(["one", "y".repeat(8_192), "three"]);
});

test("a request that comes during the handshake is heard once the connection is there", async () => {
  const { heard } = await start(["roots"]);

  await expect
    .poll(() => heard.messages.map(({ message }) => message.method))
    .toEqual(["roots/list"]);
});

test.for<readonly [string, Partial<BackendOptions>, string]>([
  [
    "a command that does not exist",
    { command: "vmcp-no-such-program" },
    'Backend "b1" cannot start: command "vmcp-no-such-program" was not found on PATH',
  ],
  [
    "a path that does not exist",
    { command: "/nowhere/secret-place/tool" },
    'Backend "b1" cannot start: command "tool" was not found',
  ],
  [
    "a working directory that does not exist",
    { cwd: "/nowhere/at/all" },
    'Backend "b1" cannot start: its working directory does not exist',
  ],
  [
    "a file that is no program",
    { command: CHILD },
    'Backend "b1" cannot start: command "child.mjs" may not be executed',
  ],
  [
    "arguments that are too long",
    { args: ["x".repeat(10_000_000)] },
    'Backend "b1" cannot start: command "node" failed to start (E2BIG)',
  ],
])("%s is named", async ([, options, message]) => {
  const starting = start([], options);

  await expect(starting).rejects.toMatchObject({
    code: "backend_unreachable",
    executionState: "not_executed",
    message,
  });
  await expect.poll(childCount).toBe(0);
});

test("a child that ends while starting says how, and keeps its last words for the log", async () => {
  const starting = start(["exit-at-start"]);

  await expect(starting).rejects.toMatchObject({
    code: "backend_closed",
    message: 'Backend "b1" exited with code 3',
    cause: { message: expect.stringContaining("cannot open the database") },
  });
});

test("a child that never answers is given up in time and ended", async () => {
  const starting = start(["silent"], { timeouts: { startMs: 300 } });

  await expect(starting).rejects.toMatchObject({ code: "backend_timeout" });
  await expect.poll(childCount).toBe(0);
});

test("aborting while starting ends the child", async () => {
  const attempt = new AbortController();
  const { createBackendConnector } = await import("../connector.ts");
  const { BACKEND, connectRequest, createHeard } =
    await import("../../../test/support/backend/connecting.ts");
  const { SILENT_LOGGER } = await import("../../domain/logger.ts");
  const connector = createBackendConnector({
    name: BACKEND,
    transport: "stdio",
    command: process.execPath,
    args: [CHILD, "silent"],
    logger: SILENT_LOGGER,
  });
  const connecting = connector.connect(connectRequest(createHeard()), attempt.signal);

  attempt.abort(new Error("changed my mind"));

  await expect(connecting).rejects.toThrow("changed my mind");
  await expect.poll(childCount).toBe(0);
});

test("disposing ends the child by closing its input", async () => {
  const { connection, heard } = await start();
  const recorder = createRecorder();
  connection.forward(callOf(1, "wait"), recorder);
  await connection.send(Buffer.from('{"jsonrpc":"2.0","method":"notifications/x"}'));

  await Promise.all([connection[Symbol.asyncDispose](), connection[Symbol.asyncDispose]()]);

  expect(await recorder.ended).toMatchObject({
    error: { code: "session_closed", executionState: "unknown" },
  });
  expect(heard.losses).toEqual([]);
  await expect.poll(childCount).toBe(0);
  await expect(connection.send(Buffer.from("{}"))).rejects.toMatchObject({
    code: "session_closed",
  });
});

test("disposing ends a child that ignores both its closed input and SIGTERM", async () => {
  const { connection } = await start(["stubborn"]);

  await connection[Symbol.asyncDispose]();

  await expect.poll(childCount).toBe(0);
});

test("disposing ends what the child has started, even when the child itself goes first", async () => {
  const { connection } = await start();
  const recorder = createRecorder();
  connection.forward(callOf(1, "grandchild"), recorder);
  const pid = Number((await recorder.answered).message.result?.["pid"]);
  const wasAlive = isAlive(pid);

  await connection[Symbol.asyncDispose]();

  expect(wasAlive).toBe(true);
  await expect.poll(() => isAlive(pid)).toBe(false);
});

test("an exit handler is there only while children live", async () => {
  const before = process.listenerCount("exit");
  const { connection } = await start();
  const during = process.listenerCount("exit");

  await connection[Symbol.asyncDispose]();

  expect(during).toBe(before + 1);
  expect(process.listenerCount("exit")).toBe(before);
});
