import { expect, test } from "vitest";
import type { JsonObject } from "../domain/json.ts";
import { toToolCallResult } from "../mcp/results.ts";
import { adaptTools } from "./adapted-tools.ts";
import type { AdaptedTool } from "./adapted-tools.ts";
import type { AdvertisedCapability, CallOptions, ToolCallResult } from "./session.ts";

const ECHO: JsonObject = {
  name: "github_echo",
  title: "Echo",
  description: "Says it again",
  inputSchema: { type: "object", properties: { text: { type: "string" } }, $defs: { x: {} } },
  outputSchema: { type: "object", properties: { said: { type: "string" } } },
  annotations: { readOnlyHint: true },
  icons: [{ src: "data:," }],
  execution: { taskSupport: "optional" },
  _meta: { "example.com/x": 1 },
};

test("tools keep their names, descriptions and raw schemas [seed 25]", () => {
  const tools = adaptTools(sessionWith([ECHO, { name: "bare" }]));

  expect(tools.map(({ name, description }) => ({ name, description }))).toEqual([
    { name: "github_echo", description: "Says it again" },
    { name: "bare", description: "" },
  ]);
  expect(tools[0]?.inputSchema).toEqual(ECHO["inputSchema"]);
  expect(tools.map(({ inputSchema }) => inputSchema["type"])).toEqual(["object", "object"]);
});

test("annotations, output schema, title and every other field survive", () => {
  const tool = onlyTool(sessionWith([ECHO]));

  expect(tool).toMatchObject({
    title: "Echo",
    annotations: ECHO["annotations"],
    outputSchema: ECHO["outputSchema"],
  });
  expect(tool.definition).toEqual(ECHO);
});

test("a handler calls the tool with the arguments and answers with its text [seed 26]", async () => {
  const session = sessionWith([ECHO]);

  const result = await onlyTool(session).handler({ arguments: { text: "hi" } });

  expect(session.calls).toEqual([{ name: "github_echo", args: { text: "hi" }, options: {} }]);
  expect(result).toMatchObject({ content: [{ type: "text", text: "hi" }], isError: false });
});

test("a handler calls the tool it was registered for, whatever the request names", async () => {
  const session = sessionWith([ECHO]);
  // The request has no name of its own; a server may pass on all of its params.
  const request: object = { name: "other_tool", arguments: { name: "another_tool" } };

  await onlyTool(session).handler(request);

  expect(session.calls.map(({ name }) => name)).toEqual(["github_echo"]);
});

test("a call that fails is an error result and no rejection [seed 27]", async () => {
  const session = sessionWith([ECHO], async () => {
    throw new Error("backend github is unavailable");
  });

  const result = await onlyTool(session).handler({ arguments: {} });

  expect(result).toEqual({
    content: [{ type: "text", text: "backend github is unavailable" }],
    isError: true,
  });
});

test.for([
  { given: null, kind: "null" },
  { given: "text", kind: "string" },
  { given: 7, kind: "number" },
  { given: true, kind: "boolean" },
  { given: [{ text: "hi" }], kind: "array" },
])("arguments of kind $kind are refused without a call [seed 28]", async ({ given, kind }) => {
  const session = sessionWith([ECHO]);

  const result = await onlyTool(session).handler({ arguments: given });

  expect(result).toEqual({
    content: [{ type: "text", text: `arguments must be object, got ${kind}` }],
    isError: true,
  });
  expect(session.calls).toEqual([]);
});

test("absent arguments are an empty object", async () => {
  const session = sessionWith([ECHO]);

  await onlyTool(session).handler({});

  expect(session.calls).toEqual([{ name: "github_echo", args: {}, options: {} }]);
});

test("the request's meta and signal reach the call [seed 29]", async () => {
  const session = sessionWith([ECHO]);
  const { signal } = new AbortController();
  const meta = { progressToken: "tok-1" };

  await onlyTool(session).handler({ arguments: {}, meta, signal });

  expect(session.calls).toEqual([{ name: "github_echo", args: {}, options: { meta, signal } }]);
});

test("a result keeps meta, structured content, its verdict and what nobody knows", async () => {
  const answer: JsonObject = {
    content: [{ type: "resource_link", uri: "file:///a", name: "a" }],
    structuredContent: { said: "no" },
    isError: true,
    _meta: { "example.com/cost": 3 },
    vendorField: [1, 2],
  };
  const session = sessionWith([ECHO], async () => toToolCallResult(answer));

  const result = await onlyTool(session).handler({ arguments: {} });

  expect(result).toEqual(answer);
});

interface FakeSession {
  readonly tools: readonly AdvertisedCapability[];
  readonly calls: { name: string; args: JsonObject; options: CallOptions | undefined }[];
  callTool(name: string, args: JsonObject, options?: CallOptions): Promise<ToolCallResult>;
}

function sessionWith(
  tools: readonly JsonObject[],
  answer: (args: JsonObject) => Promise<ToolCallResult> = echo,
): FakeSession {
  const calls: FakeSession["calls"] = [];
  return {
    calls,
    tools: tools.map(advertise),
    async callTool(name, args, options) {
      calls.push({ name, args, options });
      return answer(args);
    },
  };
}

async function echo(args: JsonObject): Promise<ToolCallResult> {
  return toToolCallResult({ content: [{ type: "text", text: args["text"] ?? "" }] });
}

function advertise(value: JsonObject): AdvertisedCapability {
  const { name, description, inputSchema } = value;
  return {
    name: typeof name === "string" ? name : "",
    ...(typeof description === "string" && { description }),
    // The fixtures of this file have an object or nothing there.
    ...(inputSchema !== undefined && { inputSchema: inputSchema as JsonObject }),
    json: JSON.stringify(value),
    value,
  };
}

function onlyTool(session: FakeSession): AdaptedTool {
  const [tool] = adaptTools(session);
  if (tool === undefined) throw new Error("the session has no tool");
  return tool;
}
