import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { PassThrough } from "node:stream";
import { describe, expect, test } from "vitest";
import { createVmcp } from "../../src/app/create-vmcp.ts";
import type { VmcpConfigInput } from "../../src/config/load-config.ts";
import type { JsonObject, JsonValue } from "../../src/domain/json.ts";
import { SILENT_LOGGER, type LogFields } from "../../src/domain/logger.ts";
import { adaptTools } from "../../src/session/adapted-tools.ts";
import { EDGES } from "../support/edges.ts";
import { startGateway } from "../support/gateway.ts";
import { everythingCommand } from "../support/npm-servers.ts";
import { lastMessage, openRawSession } from "../support/raw-client.ts";
import { startTrap } from "../catalogue/trap.ts";
import { BACKENDS, answerText, startHttp, toolCall } from "./protocol-backends.ts";

const SCHEMA = {
  type: "object",
  properties: { count: { type: "integer" }, kind: { enum: ["red", "blue"] } },
  required: ["count"],
  additionalProperties: false,
};

function tool(name: string, inputSchema: JsonValue = SCHEMA): string {
  return JSON.stringify({ name, inputSchema });
}

const OK = '{"content":[{"type":"text","text":"it ran"}]}';

/** One tool, `paint`, and what it answers. */
const PAINT = { tools: [tool("paint")], results: new Map([["paint", OK]]) };

function refusal(name: string, fault: string): JsonObject {
  const text = `The arguments of "${name}" do not fit its schema: ${fault}`;
  return { content: [{ type: "text", text }], isError: true };
}

describe.each(EDGES)("behind the %s", (_edge, edge) => {
  describe.each(BACKENDS)("before a backend over %s", (_transport, start) => {
    // [spec:tools-9]
    test.for([true, false])(
      "arguments that do not fit are answered without the backend, and others reach it (sessionManagementV2 %s) [I12]",
      async (sessionManagementV2) => {
        await using backend = await start(PAINT);
        await using gateway = await edge.start({
          backends: [{ ...backend.entry("b1"), validateArguments: true }],
          aggregation: { conflictResolution: "prefix" },
          operational: { sessionManagementV2 },
        });
        const session = await openRawSession(gateway.url);

        const wrong = await session.post(toolCall("wrong", "b1_paint", { count: "3" }));
        const missing = await session.post(toolCall(2, "b1_paint"));
        const ran = backend.backend.ledger.calls.length;
        const right = await session.post(toolCall(3, "b1_paint", { count: 3, kind: "red" }));

        expect(wrong.status).toBe(200);
        expect(lastMessage(wrong)).toEqual({
          jsonrpc: "2.0",
          id: "wrong",
          result: refusal("b1_paint", "/count must be an integer, not a string of length 1"),
        });
        expect(lastMessage(missing)).toMatchObject({
          result: refusal("b1_paint", "/count is missing, it must be an integer"),
        });
        expect(ran).toBe(0);
        expect(answerText(lastMessage(right))).toBe("it ran");
        expect(backend.backend.ledger.calls).toHaveLength(1);
      },
    );
  });
});

test("a call whose arguments are absent is checked as one with none", async () => {
  await using backend = await startHttp(PAINT);
  await using gateway = await startGateway({
    backends: [{ ...backend.entry(), validateArguments: true }],
    operational: { sessionManagementV2: true },
  });
  const session = await openRawSession(gateway.url);

  const answer = await session.request("tools/call", { name: "paint" });

  expect(answer).toMatchObject({ result: { isError: true } });
  expect(backend.backend.ledger.calls).toEqual([]);
});

test("over stdio arguments are checked too, and the session goes on [I12]", async () => {
  await using backend = await startHttp(PAINT);
  await using vmcp = await createVmcp({
    backends: [{ ...backend.entry("b1"), validateArguments: true }],
    operational: { sessionManagementV2: true },
  });
  const [input, output] = [new PassThrough(), new PassThrough()];
  let received = "";
  output.on("data", (chunk: Buffer) => {
    received += chunk.toString();
  });
  const served = vmcp.serveStdio(input, output);
  const clientInfo = { name: "c", version: "1" };
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo };
  const messages = [
    { jsonrpc: "2.0", id: 0, method: "initialize", params },
    { jsonrpc: "2.0", method: "notifications/initialized" },
    toolCall(1, "b1_paint", { count: 1, colour: "red" }),
    toolCall(2, "b1_paint", { count: 1 }),
  ];

  input.end(messages.map((message) => `${JSON.stringify(message)}\n`).join(""));
  await served;

  const answers: readonly JsonObject[] = received
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(answers.find(({ id }) => id === 1)).toMatchObject({
    result: refusal("b1_paint", '/colour is not a known argument; known here: "count", "kind"'),
  });
  expect(answers.find(({ id }) => id === 2)).toMatchObject({ result: JSON.parse(OK) });
  expect(backend.backend.ledger.calls).toHaveLength(1);
});

test("code in the same process gets the refusal as the tool's own result [I12]", async () => {
  await using backend = await startHttp(PAINT);
  await using vmcp = await createVmcp({
    backends: [{ ...backend.entry(), validateArguments: true }],
    aggregation: { conflictResolution: "prefixOnConflict" },
  });
  const session = await vmcp.openSession();
  const adapted = adaptTools(session).find(({ name }) => name === "paint");

  const called = await session.callTool("paint", { count: null });
  const handled = await adapted?.handler({ arguments: { count: 1.5 } });
  const right = await session.callTool("paint", { count: 1 });

  expect(called.raw).toEqual(refusal("paint", "/count must be an integer, not null"));
  expect(handled).toEqual(refusal("paint", "/count must be an integer, not the number 1.5"));
  expect(right).toMatchObject({ isError: false });
  expect(backend.backend.ledger.calls).toHaveLength(1);
});

test("arguments that fit arrive byte for byte, however they were read [B8]", async () => {
  await using backend = await startHttp({ tools: [tool("any", { type: "object" })] });
  await using gateway = await startGateway({
    backends: [{ ...backend.entry(), validateArguments: true }],
    operational: { sessionManagementV2: true },
  });
  const session = await openRawSession(gateway.url);
  const args = '{ "z":9007199254740993,"__proto__":{"polluted":true},"a":1.10,"e":1e400 }';

  await session.post(
    `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"raw","arguments":${args}}}`,
  );

  expect(backend.backend.ledger.calls.map(({ argumentsText }) => argumentsText)).toEqual([args]);
});

test("a schema that its backend has changed is the one that counts", async () => {
  await using backend = await startHttp(PAINT);
  await using gateway = await startGateway({
    backends: [{ ...backend.entry(), validateArguments: true }],
    operational: { sessionManagementV2: true },
  });
  const session = await openRawSession(gateway.url);
  await using stream = {
    answer: await session.openStream(),
    [Symbol.asyncDispose]: async () => stream.answer.destroy(),
  };
  await backend.canSpeakTo(1);
  const call = async (): Promise<unknown> =>
    session.request("tools/call", { name: "paint", arguments: { count: "many" } });

  const before = await call();
  backend.backend.change({ tools: [tool("paint", { properties: { count: { type: "string" } } })] });
  backend.backend.notify("notifications/tools/list_changed");

  expect(before).toMatchObject({ result: { isError: true } });
  await expect.poll(call).toMatchObject({ result: JSON.parse(OK) });
});

test("a reload that turns the check on reaches live sessions and costs them no connection", async () => {
  await using backend = await startHttp(PAINT);
  const config = (validateArguments: boolean): VmcpConfigInput => ({
    backends: [{ ...backend.entry(), validateArguments }],
    aggregation: { conflictResolution: "prefixOnConflict" },
    operational: { sessionManagementV2: true },
    server: { port: 0 },
  });
  await using gateway = await startGateway(config(false));
  const session = await openRawSession(gateway.url);
  const call = async (): Promise<unknown> =>
    session.request("tools/call", { name: "paint", arguments: {} });

  const before = await call();
  const greetings = backend.backend.ledger.initializes.length;
  await gateway.vmcp.reload(config(true));
  const after = await call();

  expect(before).toMatchObject({ result: JSON.parse(OK) });
  expect(after).toMatchObject({ result: { isError: true } });
  expect(backend.backend.ledger.initializes).toHaveLength(greetings);
});

test("one backend's switch says nothing of another's", async () => {
  await using strict = await startHttp(PAINT);
  await using lenient = await startHttp(PAINT);
  await using gateway = await startGateway({
    backends: [{ ...strict.entry("one"), validateArguments: true }, lenient.entry("two")],
    aggregation: { conflictResolution: "prefix" },
    operational: { sessionManagementV2: true },
  });
  const session = await openRawSession(gateway.url);

  const one = await session.request("tools/call", { name: "one_paint", arguments: {} });
  const two = await session.request("tools/call", { name: "two_paint", arguments: {} });

  expect(one).toMatchObject({ result: { isError: true } });
  expect(two).toMatchObject({ result: JSON.parse(OK) });
});

test("the official example server's own schemas are understood", async () => {
  const backend = { name: "all", ...everythingCommand(), env: {}, validateArguments: true };
  const { args, ...entry } = backend;
  await using gateway = await startGateway({
    backends: [{ ...entry, args: [...args] }],
    operational: { sessionManagementV2: true },
  });
  const session = await openRawSession(gateway.url);
  const call = async (name: string, given: JsonObject): Promise<unknown> =>
    session.request("tools/call", { name, arguments: given });

  expect(await call("get-sum", { a: 1, b: "2" })).toMatchObject({
    result: refusal("get-sum", "/b must be a number, not a string of length 1"),
  });
  expect(answerText(await call("get-sum", { a: 1, b: 2 }))).toContain("3");
  expect(await call("echo", {})).toMatchObject({
    result: refusal("echo", "/message is missing, it must be a string"),
  });
  expect(answerText(await call("echo", { message: "hello" }))).toContain("hello");
});

describe("schemas that nobody should have sent", () => {
  const deep = (levels: number): JsonObject =>
    levels === 0 ? {} : { properties: { a: deep(levels - 1) } };

  const HOSTILE: readonly (readonly [string, (trap: number) => JsonValue])[] = [
    ["null", () => null],
    ["a boolean", () => false],
    ["a text", () => "{}"],
    ["a reference to a host", (port) => ({ $ref: `http://127.0.0.1:${port}/s` })],
    ["a dialect at a host", (port) => ({ $schema: `http://127.0.0.1:${port}/dialect` })],
    [
      "a reference to itself",
      () => ({ $defs: { a: { anyOf: [{ $ref: "#/$defs/a" }] } }, $ref: "#/$defs/a" }),
    ],
    [
      "a dynamic reference to itself",
      () => ({ $dynamicAnchor: "a", allOf: [{ $dynamicRef: "#a" }] }),
    ],
    ["20,000 branches", () => ({ anyOf: Array.from({ length: 20_000 }, () => ({})) })],
    ["sub-schemas 40 deep", () => deep(39)],
    ["an asynchronous schema", () => ({ $async: true, type: "null" })],
    [
      "a pattern that needs to backtrack",
      () => ({ properties: { a: { pattern: String.raw`(a)\1` } } }),
    ],
    ["a keyword of no meaning", () => ({ type: { type: "type" } })],
  ];

  // [spec:base-14]
  test.for(HOSTILE)("%s: its calls go on, and the log says once why", async ([, schemaFor]) => {
    await using trap = await startTrap();
    await using backend = await startHttp({
      tools: [tool("odd", schemaFor(trap.port)), tool("paint")],
      results: new Map([
        ["odd", OK],
        ["paint", OK],
      ]),
    });
    const warnings: LogFields[] = [];
    const logger = {
      ...SILENT_LOGGER,
      warn: (_text: string, fields: LogFields = {}) => void warnings.push(fields),
    };
    const limits = { schemaBytes: "1MiB" };
    await using gateway = await startGateway(
      {
        backends: [{ ...backend.entry("b1"), validateArguments: true }],
        operational: { sessionManagementV2: true },
        limits,
      },
      { logger },
    );
    const sessions = [await openRawSession(gateway.url), await openRawSession(gateway.url)];

    for (const session of sessions) {
      // One after the other: what is said once must not depend on the order of answers.
      // oxlint-disable-next-line no-await-in-loop
      const answer = await session.request("tools/call", { name: "odd", arguments: { a: "x" } });
      expect(answer).toMatchObject({ result: JSON.parse(OK) });
    }
    const other = await sessions[0]?.request("tools/call", { name: "paint", arguments: {} });

    expect(other).toMatchObject({ result: { isError: true } });
    expect(warnings.filter(({ reason }) => reason !== undefined)).toEqual([
      { backend: "b1", tool: "odd", reason: expect.stringMatching(/\S/) },
    ]);
    expect(trap.connections).toBe(0);
  });

  test("a pattern that would take for ever elsewhere is answered in time, and the endpoint with it", async () => {
    await using backend = await startHttp({
      tools: [tool("odd", { properties: { a: { type: "string", pattern: "^(a+)+$" } } })],
      results: new Map([["odd", OK]]),
    });
    await using gateway = await startGateway({
      backends: [{ ...backend.entry(), validateArguments: true }],
      operational: { sessionManagementV2: true },
    });
    const session = await openRawSession(gateway.url);
    const call = async (a: string): Promise<unknown> =>
      session.request("tools/call", { name: "odd", arguments: { a } });

    expect(await call(`${"a".repeat(5_000)}!`)).toMatchObject({
      result: refusal("odd", "/a must match the pattern ^(a+)+$, not a string of length 5001"),
    });
    expect(await call("a".repeat(5_000))).toMatchObject({ result: JSON.parse(OK) });
  });
});

// [spec:base-15]
test.for([
  "https://json-schema.org/draft/2020-12/schema",
  "http://json-schema.org/draft-07/schema",
])("the guide names the dialect %s", (dialect) => {
  const guide = readFileSync(
    join(resolve(import.meta.dirname, "../.."), "docs/guide/configuration.md"),
    "utf8",
  );

  expect(guide).toContain(dialect);
});
