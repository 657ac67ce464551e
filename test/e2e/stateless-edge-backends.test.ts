import { describe, expect, test } from "vitest";
import { isJsonObject, type JsonObject } from "../../src/domain/json.ts";
import { textOf } from "../support/clients.ts";
import { startGateway } from "../support/gateway.ts";
import { askStateless, resultOf } from "../support/stateless-client.ts";
import { startHttp, startStdio } from "./protocol-backends.ts";

/** What every client takes for a name. */
const VALID_NAME = /^[A-Za-z0-9_.-]{1,64}$/;

function toolCall(name: string, args: JsonObject = {}): JsonObject {
  return { name, arguments: args };
}

async function namesAt(url: string): Promise<readonly string[]> {
  const { tools } = await resultOf(url, "tools/list");
  const listed = Array.isArray(tools) ? tools : [];
  return listed.flatMap((tool) => {
    const name = isJsonObject(tool) ? tool["name"] : undefined;
    return typeof name === "string" ? [name] : [];
  });
}

describe("for a client without sessions", () => {
  test("a backend that drops its session is greeted once more, and the answer says so [B9] [B17]", async () => {
    await using backend = await startHttp();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    await gateway.vmcp.probed();
    await resultOf(gateway.url, "tools/call", toolCall("count"));
    const greetings = backend.backend.initializeCount;

    backend.backend.forgetSessions();
    const answers = await Promise.all([
      resultOf(gateway.url, "tools/call", toolCall("count")),
      resultOf(gateway.url, "tools/call", toolCall("count")),
    ]);
    const later = await resultOf(gateway.url, "tools/call", toolCall("count"));

    expect(answers.map(textOf).toSorted()).toEqual(["1", "2"]);
    expect(answers).toMatchObject([
      { resultType: "complete", _meta: { backend_reinitialized: true } },
      { resultType: "complete", _meta: { backend_reinitialized: true } },
    ]);
    expect(textOf(later)).toBe("3");
    expect(later).not.toHaveProperty("_meta.backend_reinitialized");
    expect(backend.backend.initializeCount).toBe(greetings + 1);
  });

  test("a program that exits in the middle of a call says how, the next call has another, and other names keep theirs [B10] [B17]", async () => {
    await using backend = await startStdio();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const other = `${gateway.url}/s/other`;
    await resultOf(gateway.url, "tools/call", toolCall("count"));
    await resultOf(other, "tools/call", toolCall("count"));

    const { error } = await askStateless(gateway.url, "tools/call", toolCall("crash", { code: 3 }));
    const next = await resultOf(gateway.url, "tools/call", toolCall("count"));
    const kept = await resultOf(other, "tools/call", toolCall("count"));

    expect(error).toMatchObject({
      message: 'Backend "b" exited with code 3',
      data: { kind: "backend_closed", executionState: "unknown", exit: { code: 3 } },
    });
    expect(next).toMatchObject({
      content: [{ text: "1" }],
      _meta: { backend_reinitialized: true },
    });
    expect(textOf(kept)).toBe("2");
  });

  test("a backend that hangs while it starts delays nobody beyond the deadline [B14] [B17]", async () => {
    await using healthy = await startHttp();
    await using hanging = await startHttp({ initialize: "hang" });
    await using gateway = await startGateway({
      backends: [
        { ...healthy.entry(), name: "good" },
        { ...hanging.entry(), name: "late" },
      ],
      aggregation: { conflictResolution: "prefix" },
      operational: { sessionManagementV2: true, sessions: { startDeadline: "500ms" } },
    });

    const before = await namesAt(gateway.url);
    const counted = await resultOf(gateway.url, "tools/call", toolCall("good_count"));

    expect(before).toContain("good_count");
    expect(before).not.toContain("late_count");
    expect(textOf(counted)).toBe("1");
  });

  test("names are valid, no longer than 64, unique and the same at every look [B15] [B17]", async () => {
    const name = "a name of more than a hundred characters ünd spaces ".repeat(3).slice(0, 100);
    const tools = [`{"name":${JSON.stringify(name)},"inputSchema":{"type":"object"}}`];
    await using one = await startHttp({ tools, hasBuiltInTools: false });
    await using two = await startHttp({ tools, hasBuiltInTools: false });
    await using gateway = await startGateway({
      backends: [
        { ...one.entry(), name: "one" },
        { ...two.entry(), name: "two" },
      ],
      aggregation: { conflictResolution: "prefix" },
    });

    const first = await namesAt(gateway.url);
    const again = await namesAt(`${gateway.url}/s/again`);

    expect(first).toHaveLength(2);
    expect(first.every((each) => VALID_NAME.test(each))).toBe(true);
    expect(new Set(first).size).toBe(2);
    expect(again).toEqual(first);
  });
});
