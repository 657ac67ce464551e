import { describe, expect, test } from "vitest";
import type { VmcpConfigInput } from "../../src/config/load-config.ts";
import { isJsonObject, type JsonObject } from "../../src/domain/json.ts";
import {
  resultFor,
  sendJson,
  startHttpBackend,
  type HttpBackend,
} from "../support/backend/http-backend.ts";
import { startStatelessBackend, STATELESS_CHILD } from "../support/backend/stateless-backend.ts";
import { discovered } from "../support/backend/stateless-script.ts";
import { textOf } from "../support/clients.ts";
import { startGateway } from "../support/gateway.ts";
import { waitFor } from "../support/quiescence.ts";
import type { RawAnswer } from "../support/raw-client.ts";
import {
  askStateless,
  resultOf,
  startStateless,
  statelessMessage,
} from "../support/stateless-client.ts";
import { messagesOn } from "./protocol-backends.ts";

type BackendEntry = NonNullable<VmcpConfigInput["backends"]>[number];

/** What every client takes for a name. */
const VALID_NAME = /^[A-Za-z0-9_.-]{1,64}$/;

function toolCall(name: string, args: JsonObject = {}): JsonObject {
  return { name, arguments: args };
}

/** Such a backend says nothing of itself to whoever greets it. */
function entryOf(name: string, url: string): BackendEntry {
  return { name, url, revision: "2026-07-28" };
}

async function namesAt(url: string): Promise<readonly string[]> {
  const { tools } = await resultOf(url, "tools/list");
  const listed = Array.isArray(tools) ? tools : [];
  return listed.flatMap((tool) => {
    const name = isJsonObject(tool) ? tool["name"] : undefined;
    return typeof name === "string" ? [name] : [];
  });
}

/** Listens to one resource, once that is acknowledged. */
async function listen(url: string, id: string, uri: string): Promise<RawAnswer> {
  const notifications = { resourceSubscriptions: [uri] };
  const message = statelessMessage(id, "subscriptions/listen", { notifications });
  const stream = await startStateless(url, message);
  await waitFor(() => stream.events.length > 0);
  return stream;
}

/** A backend without sessions that has this one tool, whose calls are answered with its name. */
async function startWithTool(
  name: string,
  discovering: Promise<void> = Promise.resolve(),
): Promise<HttpBackend> {
  return startHttpBackend({
    on: {
      "server/discover": async (response, seen) => {
        await discovering;
        await discovered()(response, seen);
      },
      "tools/list": (response, seen) =>
        sendJson(response, resultFor(seen, { tools: [{ name, inputSchema: { type: "object" } }] })),
      "tools/call": (response, seen) =>
        sendJson(response, resultFor(seen, { content: [{ type: "text", text: name }] })),
    },
  });
}

describe("for a client without sessions, before backends without any", () => {
  test("a backend that is started again has lost nothing, and what is listened to is told of as before [B9] [B17]", async () => {
    const first = await startStatelessBackend();
    const port = Number(new URL(first.url).port);
    await using gateway = await startGateway({ backends: [{ name: "b", url: first.url }] });
    const stream = await listen(gateway.url, "l", "doc://one");

    await first[Symbol.asyncDispose]();
    await using second = await startStatelessBackend({ port });
    const next = await resultOf(gateway.url, "tools/call", toolCall("echo"));
    // Another wish renews the stream of the session, which else takes its time to come back.
    const another = await listen(gateway.url, "m", "doc://two");
    await waitFor(() => stream.events.length === 2);
    second.notify.resourceUpdated("doc://one");
    await waitFor(() => stream.events.length === 3);

    expect(textOf(next)).toBe("{}");
    expect(next).not.toHaveProperty("_meta.backend_reinitialized");
    expect(messagesOn(stream).at(-1)).toMatchObject({
      method: "notifications/resources/updated",
      params: { uri: "doc://one", _meta: { "io.modelcontextprotocol/subscriptionId": "l" } },
    });
    stream.destroy();
    another.destroy();
  });

  test("a program that exits in the middle of a call says how, the next call has another, and other names keep theirs [B10] [B17]", async () => {
    const args = [STATELESS_CHILD, "modern-only"];
    const backends = [{ name: "b", command: process.execPath, args }];
    await using gateway = await startGateway({ backends });
    const other = `${gateway.url}/s/other`;
    const pidAt = async (url: string): Promise<string> =>
      textOf(await resultOf(url, "tools/call", toolCall("pid")));
    const before = [await pidAt(gateway.url), await pidAt(other)];

    const { error } = await askStateless(gateway.url, "tools/call", toolCall("crash", { code: 3 }));
    const next = await resultOf(gateway.url, "tools/call", toolCall("pid"));
    const kept = await pidAt(other);

    expect(error).toMatchObject({
      message: 'Backend "b" exited with code 3',
      data: { kind: "backend_closed", executionState: "unknown", exit: { code: 3 } },
    });
    expect(before).not.toContain(textOf(next));
    expect(kept).toBe(before[1]);
  });

  test("a backend that hangs while it starts delays nobody beyond the deadline, and joins when it answers [B14] [B17]", async () => {
    let answers = (): void => {};
    await using good = await startWithTool("one");
    await using hanging = await startWithTool(
      "two",
      new Promise<void>((resolve) => (answers = resolve)),
    );
    await using gateway = await startGateway({
      backends: [entryOf("good", good.url), entryOf("late", hanging.url)],
      operational: { sessionManagementV2: true, sessions: { startDeadline: "200ms" } },
    });

    const before = await namesAt(gateway.url);
    const called = await resultOf(gateway.url, "tools/call", toolCall("one"));
    answers();
    await waitFor(async () => (await namesAt(gateway.url)).includes("two"));
    const joined = await resultOf(gateway.url, "tools/call", toolCall("two"));

    expect(before).toEqual(["one"]);
    expect([textOf(called), textOf(joined)]).toEqual(["one", "two"]);
  });

  test("names are valid, no longer than 64, unique, the same when a backend is added, and lead to their tools [B15] [B17]", async () => {
    const name = "a name of more than a hundred characters ünd spaces ".repeat(3).slice(0, 100);
    await using one = await startWithTool(name);
    await using two = await startWithTool(name);
    await using three = await startWithTool("another");
    const entries = [one, two, three].map(({ url }, index) => entryOf(`b${index}`, url));
    const aggregation = { conflictResolution: "prefix" } as const;
    await using gateway = await startGateway({ backends: entries.slice(0, 2), aggregation });

    const before = await namesAt(gateway.url);
    await gateway.vmcp.reload({ backends: entries, aggregation });
    const after = await waitFor(async () => {
      const names = await namesAt(gateway.url);
      return names.length === 3 && names;
    });
    for (const each of before) await resultOf(gateway.url, "tools/call", toolCall(each));

    expect(before).toHaveLength(2);
    expect(after).toEqual(expect.arrayContaining([...before]));
    expect(after.every((each) => VALID_NAME.test(each))).toBe(true);
    expect(new Set(after).size).toBe(3);
    const mirrored = `=?base64?${Buffer.from(name).toString("base64")}?=`;
    const calls = [one, two].flatMap((backend) => backend.of("tools/call"));
    expect(calls.map(({ headers }) => headers["mcp-name"])).toEqual([mirrored, mirrored]);
    expect(calls.map(({ message }) => message)).toMatchObject([
      { params: { name } },
      { params: { name } },
    ]);
  });
});
