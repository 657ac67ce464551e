import { expect, test } from "vitest";
import { startGateway } from "../support/gateway.ts";
import { lastMessage, openRawSession, type RawSession } from "../support/raw-client.ts";
import { answerText, callText, startHttp, startStdio, toolCall } from "./protocol-backends.ts";

const schema = { type: "object" };

function tool(name: string, inputSchema: unknown = schema): string {
  return JSON.stringify({ name, inputSchema });
}

async function toolNames(session: RawSession): Promise<readonly string[]> {
  // What tools/list answers.
  const { result } = (await session.request("tools/list")) as {
    readonly result: { readonly tools: readonly { readonly name: string }[] };
  };
  return result.tools.map(({ name }) => name);
}

// [spec:tools-3] [spec:tools-4] [spec:tools-6]
test.for(["prefix", "prefixOnConflict", "priority"] as const)(
  "by %s every name is 1 to 128 plain characters and stands once, whatever the backends call their tools",
  async (conflictResolution) => {
    const names = ["a b", "a,b", "a_b", "ä", "工具", "x".repeat(128), "same", "../etc", "A_B"];
    await using http = await startHttp({
      hasBuiltInTools: false,
      tools: names.map((name) => tool(name)),
    });
    await using stdio = await startStdio({
      hasBuiltInTools: false,
      tools: names.map((name) => tool(name)),
    });
    await using gateway = await startGateway({
      backends: [http.entry("one"), stdio.entry("two")],
      aggregation: {
        conflictResolution,
        ...(conflictResolution === "priority" && {
          conflictResolutionConfig: { priorityOrder: ["one", "two"] },
        }),
      },
    });
    const session = await openRawSession(gateway.url);

    const advertised = await toolNames(session);

    expect(advertised.length).toBeGreaterThanOrEqual(names.length);
    expect(advertised.filter((name) => !/^[\w.-]{1,128}$/.test(name))).toEqual([]);
    expect(new Set(advertised).size).toBe(advertised.length);
  },
);

// [spec:tools-5]
test("names that differ in case only are different tools, each of which is called by its own", async () => {
  const result = (text: string): string => JSON.stringify({ content: [{ type: "text", text }] });
  await using backend = await startHttp({
    hasBuiltInTools: false,
    tools: [tool("Read"), tool("read"), tool("READ")],
    results: new Map([
      ["Read", result("title")],
      ["read", result("lower")],
      ["READ", result("upper")],
    ]),
  });
  await using gateway = await startGateway({ backends: [backend.entry()] });
  const session = await openRawSession(gateway.url);

  const names = await toolNames(session);
  const texts = [
    await callText(session, "Read"),
    await callText(session, "read"),
    await callText(session, "READ"),
  ];
  const unknown = await session.post(toolCall(9, "rEAD"));

  expect(names).toEqual(["Read", "read", "READ"]);
  expect(texts).toEqual(["title", "lower", "upper"]);
  expect(lastMessage(unknown)).toMatchObject({ error: { code: -32_602 } });
});

test("one tool that cannot be offered does not cost the others", async () => {
  await using backend = await startHttp({
    hasBuiltInTools: false,
    tools: [
      "null",
      "7",
      '{"inputSchema":{"type":"object"}}',
      tool(""),
      tool("fine"),
      '{"name":{}}',
    ],
    results: new Map([["fine", '{"content":[{"type":"text","text":"ok"}]}']]),
  });
  await using gateway = await startGateway({ backends: [backend.entry()] });
  const session = await openRawSession(gateway.url);

  const names = await toolNames(session);

  expect(names).toEqual(["fine"]);
  expect(answerText(lastMessage(await session.post(toolCall(1, "fine"))))).toBe("ok");
});
