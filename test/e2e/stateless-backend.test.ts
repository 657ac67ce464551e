import { describe, expect, test } from "vitest";
import type { VmcpConfigInput } from "../../src/config/load-config.ts";
import {
  startStatelessBackend,
  STATELESS_CHILD,
  type StatelessBackend,
} from "../support/backend/stateless-backend.ts";
import { CLIENTS } from "../support/e2e-clients.ts";
import { startGateway } from "../support/gateway.ts";
import { waitFor } from "../support/quiescence.ts";
import { lastMessage, openRawSession, type RawSession } from "../support/raw-client.ts";
import { answerText, messagesOn, toolCall } from "./protocol-backends.ts";

type BackendEntry = NonNullable<VmcpConfigInput["backends"]>[number];

interface Started extends AsyncDisposable {
  readonly entry: BackendEntry;
  readonly backend?: StatelessBackend;
}

async function startHttp(): Promise<Started & { readonly backend: StatelessBackend }> {
  const backend = await startStatelessBackend();
  return {
    backend,
    entry: { name: "b", url: backend.url },
    [Symbol.asyncDispose]: async () => backend[Symbol.asyncDispose](),
  };
}

async function startStdio(): Promise<Started> {
  const entry = { name: "b", command: process.execPath, args: [STATELESS_CHILD, "modern-only"] };
  return { entry, async [Symbol.asyncDispose]() {} };
}

/** What is shown of a backend holds over both transports, and under both kinds of isolation. */
const CELLS: readonly (readonly [string, () => Promise<Started>, boolean])[] = [
  ["HTTP, connections kept", startHttp, true],
  ["HTTP, connections made per request", startHttp, false],
  ["stdio, processes kept", startStdio, true],
  ["stdio, processes made per request", startStdio, false],
];

const ELICITED = { action: "accept", content: { name: "Ada" } };

const SAMPLED = {
  role: "assistant",
  content: { type: "text", text: "4" },
  model: "m",
  stopReason: "endTurn",
};

describe.each(CELLS)("with a stateless backend over %s", (_cell, start, sessionManagementV2) => {
  const startBoth = async (): Promise<{
    readonly started: Started;
    readonly gateway: Awaited<ReturnType<typeof startGateway>>;
  }> => {
    const started = await start();
    const operational = { sessionManagementV2 };
    return { started, gateway: await startGateway({ backends: [started.entry], operational }) };
  };

  test.for(CLIENTS)(
    "%s lists, calls, reads, gets and completes [B7] [B17]",
    async ([, connect]) => {
      const { started, gateway } = await startBoth();
      await using _started = started;
      await using _gateway = gateway;
      await using client = await connect(gateway.url);
      const session = await openRawSession(gateway.url);

      const names = await client.toolNames();
      const echo = await client.call("echo", { n: 1 });
      const read = await session.request("resources/read", { uri: "doc://7" });
      const prompt = await session.request("prompts/get", {
        name: "greet",
        arguments: { who: "Bo" },
      });
      const completion = await session.request("completion/complete", {
        ref: { type: "ref/prompt", name: "greet" },
        argument: { name: "who", value: "A" },
      });
      const ofTemplate = await session.request("completion/complete", {
        ref: { type: "ref/resource", uri: "doc://{id}" },
        argument: { name: "id", value: "7" },
      });

      expect(names).toContain("echo");
      expect(echo).toEqual({ content: [{ type: "text", text: '{"n":1}' }] });
      expect(read).toEqual({
        jsonrpc: "2.0",
        id: 1,
        result: { contents: [{ uri: "doc://7", text: "text of doc://7" }] },
      });
      expect(prompt).toMatchObject({ result: { messages: [{ content: { text: "Greet Bo" } }] } });
      expect(completion).toMatchObject({ result: { completion: { values: ["A!"] } } });
      expect(ofTemplate).toMatchObject({ result: { completion: { values: ["7!"] } } });
    },
  );

  test.for(CLIENTS)(
    "%s is asked by elicitation, sampling and roots, and its call completes [A20] [B5] [B17]",
    async ([, connect]) => {
      const { started, gateway } = await startBoth();
      await using _started = started;
      await using _gateway = gateway;
      await using client = await connect(gateway.url, {
        onElicitation: () => ELICITED,
        onSampling: () => SAMPLED,
        roots: [{ uri: "file:///here", name: "here" }],
      });

      const one = await client.callText("ask");
      const all = await client.callText("askAll");

      expect(JSON.parse(one)).toEqual({ answer: ELICITED, state: "état €" });
      expect(JSON.parse(all)).toEqual({
        name: ELICITED,
        model: SAMPLED,
        roots: { roots: [{ uri: "file:///here", name: "here" }] },
      });
    },
  );

  test("a prompt that needs input is got by asking the client [A20]", async () => {
    const { started, gateway } = await startBoth();
    await using _started = started;
    await using _gateway = gateway;
    const session = await openRawSession(gateway.url, { capabilities: { elicitation: {} } });

    const getting = session.startPost({
      jsonrpc: "2.0",
      id: "p",
      method: "prompts/get",
      params: { name: "greet" },
    });
    const answer = await getting;
    const question = await waitFor(() => answer.events.at(0));
    const { id } = JSON.parse(question) as { id: string };
    await session.post({
      jsonrpc: "2.0",
      id,
      result: { action: "accept", content: { who: "Cy" } },
    });
    await answer.ended;

    expect(lastMessage(answer)).toMatchObject({
      id: "p",
      result: { messages: [{ content: { text: "Greet Cy" } }] },
    });
  });

  test("progress and log messages come on the stream of their call, at the level that was set [B2] [B4]", async () => {
    const { started, gateway } = await startBoth();
    await using _started = started;
    await using _gateway = gateway;
    const session = await openRawSession(gateway.url);
    const log = toolCall("l", "log", { level: "info", data: "hello" });

    const unasked = await session.post(log);
    await session.request("logging/setLevel", { level: "info" });
    const asked = await session.post(log);
    const progress = await session.post(toolCall("p", "progress", { steps: 2 }, "token"));

    expect(JSON.parse(unasked.text)).toMatchObject({ id: "l" });
    expect(messagesOn(asked)).toMatchObject([
      { method: "notifications/message", params: { level: "info", data: "hello" } },
      { id: "l" },
    ]);
    expect(messagesOn(progress)).toMatchObject([
      { method: "notifications/progress", params: { progressToken: "token", progress: 1 } },
      { method: "notifications/progress", params: { progressToken: "token", progress: 2 } },
      { id: "p" },
    ]);
  });

  test("the backend sees the client's own name and what it can be asked for", async () => {
    const { started, gateway } = await startBoth();
    await using _started = started;
    await using _gateway = gateway;
    const capabilities = {
      elicitation: { form: {}, url: {} },
      roots: { listChanged: true },
      tasks: { requests: {} },
    };
    const session = await openRawSession(gateway.url, { capabilities });
    const own = { "io.modelcontextprotocol/clientInfo": { name: "another" }, "x.example/kept": 1 };

    const answer = await session.request("tools/call", {
      name: "envelope",
      arguments: {},
      _meta: own,
    });

    expect(JSON.parse(answerText(answer))).toMatchObject({
      "io.modelcontextprotocol/protocolVersion": "2026-07-28",
      "io.modelcontextprotocol/clientInfo": { name: "raw-client", version: "1.0.0" },
      "io.modelcontextprotocol/clientCapabilities": {
        elicitation: { form: {}, url: {} },
        roots: {},
      },
    });
  });
});

/** The question that a call puts to the client, which must be the first thing on its stream. */
async function askedOn(
  session: RawSession,
  call: ReturnType<typeof toolCall>,
): Promise<{
  readonly answer: Awaited<ReturnType<RawSession["startPost"]>>;
  readonly question: { readonly id: string; readonly method: string };
}> {
  const answer = await session.startPost(call);
  const text = await waitFor(() => answer.events.at(0));
  // What comes first is the question, which has an id.
  return { answer, question: JSON.parse(text) as { id: string; method: string } };
}

describe("with a stateless backend", () => {
  test("a client that declines is heard, and its call goes on [A20]", async () => {
    await using backend = await startStatelessBackend();
    await using gateway = await startGateway({ backends: [{ name: "b", url: backend.url }] });
    const session = await openRawSession(gateway.url, { capabilities: { elicitation: {} } });

    const { answer, question } = await askedOn(session, toolCall(1, "ask"));
    await session.post({ jsonrpc: "2.0", id: question.id, result: { action: "decline" } });
    await answer.ended;

    expect(question.method).toBe("elicitation/create");
    expect(JSON.parse(answerText(lastMessage(answer)))).toMatchObject({
      answer: { action: "decline" },
    });
  });

  test("a client that answers with an error gets its call answered with one that says so [A20]", async () => {
    await using backend = await startStatelessBackend();
    await using gateway = await startGateway({ backends: [{ name: "b", url: backend.url }] });
    const session = await openRawSession(gateway.url, { capabilities: { elicitation: {} } });

    const { answer, question } = await askedOn(session, toolCall(1, "ask"));
    const error = { code: -1, message: "nobody is at home" };
    await session.post({ jsonrpc: "2.0", id: question.id, error });
    await answer.ended;

    expect(lastMessage(answer)).toMatchObject({
      id: 1,
      error: {
        message: expect.stringContaining('backend "b"'),
        data: { clientError: { code: -1 } },
      },
    });
    expect(lastMessage(answer)).toMatchObject({
      error: { message: expect.stringContaining("nobody is at home") },
    });
  });

  test("each round is a request of its own that hands back what the backend gave with the question [A20]", async () => {
    await using backend = await startStatelessBackend();
    await using gateway = await startGateway({ backends: [{ name: "b", url: backend.url }] });
    const [[, connect]] = [CLIENTS[1] ?? CLIENTS[0]] as [(typeof CLIENTS)[number]];
    await using client = await connect(gateway.url, { onElicitation: () => ELICITED });

    const often = await client.callText("askOften", { rounds: 10, big: 1 });
    const later = await client.callText("later");

    const calls = backend.requests.flatMap(({ message }) =>
      message?.["method"] === "tools/call" ? [message] : [],
    );
    const ids = calls.map(({ id }) => id);
    expect([often, later]).toEqual(["after 10", "at last"]);
    expect(calls).toHaveLength(13);
    expect(new Set(ids.slice(1, 11)).size).toBe(10);
    expect(calls[3]).toMatchObject({
      params: {
        name: "askOften",
        arguments: { rounds: 10 },
        requestState: "3",
        inputResponses: { name: ELICITED },
      },
    });
  });

  test("a backend that asks again and again is not asked more than ten times [A20]", async () => {
    await using backend = await startStatelessBackend();
    await using gateway = await startGateway({ backends: [{ name: "b", url: backend.url }] });
    const [[, connect]] = [CLIENTS[1] ?? CLIENTS[0]] as [(typeof CLIENTS)[number]];
    await using client = await connect(gateway.url, { onElicitation: () => ELICITED });

    const asking = client.callText("askOften", { rounds: 11 });

    await expect(asking).rejects.toThrow("asked for input more than 10 times");
  });

  test("a client that cancels while it is asked need not answer [A20] [B3]", async () => {
    await using backend = await startStatelessBackend();
    await using gateway = await startGateway({ backends: [{ name: "b", url: backend.url }] });
    const session = await openRawSession(gateway.url, { capabilities: { elicitation: {} } });
    const stream = await session.openStream();

    const { question } = await askedOn(session, toolCall("c", "ask"));
    const params = { requestId: "c", reason: "changed my mind" };
    await session.post({ jsonrpc: "2.0", method: "notifications/cancelled", params });

    const withdrawn = await waitFor(() => stream.events.at(0));
    expect(JSON.parse(withdrawn)).toMatchObject({
      method: "notifications/cancelled",
      params: { requestId: question.id },
    });
    expect(backend.state.calls).toBe(1);
  });

  test.for(CLIENTS)(
    "%s has eight questions of a backend before it at once, and what other calls ask waits its turn [B5]",
    async ([, connect]) => {
      await using backend = await startStatelessBackend();
      await using gateway = await startGateway({ backends: [{ name: "b", url: backend.url }] });
      let asked = 0;
      let answerAll = (): void => {};
      const everything = new Promise<void>((resolve) => (answerAll = resolve));
      const answering = (answer: object) => async () => {
        asked += 1;
        await everything;
        return answer;
      };
      await using client = await connect(gateway.url, {
        onElicitation: answering(ELICITED),
        onSampling: answering(SAMPLED),
        roots: [],
      });

      const calls = Promise.all(Array.from({ length: 10 }, async () => client.callText("ask")));
      await waitFor(() => asked >= 8 && backend.state.calls === 10);
      const before = asked;
      answerAll();
      const answers = await calls;

      expect(before).toBe(8);
      expect(answers).toHaveLength(10);
      for (const answer of answers) expect(JSON.parse(answer)).toMatchObject({ answer: ELICITED });
    },
  );

  test("a client that cancels a call breaks off its request, which is how the backend hears of it [B3]", async () => {
    await using backend = await startStatelessBackend();
    await using gateway = await startGateway({ backends: [{ name: "b", url: backend.url }] });
    const session = await openRawSession(gateway.url);

    const waiting = session.startPost(toolCall("w", "wait"));
    await waitFor(() => backend.state.calls === 1);
    const params = { requestId: "w" };
    await session.post({ jsonrpc: "2.0", method: "notifications/cancelled", params });
    await waitFor(() => backend.state.cancelled === 1);

    expect(backend.methods).not.toContain("notifications/cancelled");
    (await waiting).destroy();
  });

  test("what a tool wants to see in headers is there, whatever the value holds", async () => {
    await using backend = await startStatelessBackend();
    await using gateway = await startGateway({ backends: [{ name: "b", url: backend.url }] });
    const session = await openRawSession(gateway.url);

    const args = { region: "Ωmega", deep: { count: 42 } };
    const answer = await session.request("tools/call", { name: "region", arguments: args });

    const call = backend.requests.find(({ message }) => message?.["method"] === "tools/call");
    expect(JSON.parse(answerText(answer))).toEqual(args);
    expect(call?.headers).toMatchObject({
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": "tools/call",
      "mcp-name": "region",
      "mcp-param-region": `=?base64?${Buffer.from("Ωmega").toString("base64")}?=`,
      "mcp-param-count": "42",
    });
  });

  test("under another name a tool is called by its own, in body and headers", async () => {
    await using backend = await startStatelessBackend();
    await using gateway = await startGateway({
      backends: [{ name: "b", url: backend.url }],
      aggregation: { conflictResolution: "prefix" },
    });
    const session = await openRawSession(gateway.url);

    const answer = await session.request("tools/call", { name: "b_echo", arguments: {} });

    const call = backend.requests.find(({ message }) => message?.["method"] === "tools/call");
    expect(answer).toMatchObject({ result: { content: [{ text: "{}" }] } });
    expect(call?.headers["mcp-name"]).toBe("echo");
  });

  test("numbers, key order and unknown fields of a call arrive as they were written [B8]", async () => {
    await using backend = await startStatelessBackend();
    await using gateway = await startGateway({ backends: [{ name: "b", url: backend.url }] });
    const session = await openRawSession(gateway.url);
    const args = '{"z":12345678901234567890,"__proto__":{"a":1},"a":[1.50,"\\u00e9"]}';

    await session.post(
      `{"x":1,"params":{"arguments":${args},"name":"echo"},"id":90071992547409931,"method":"tools/call","jsonrpc":"2.0"}`,
    );

    const call = backend.requests.find(({ message }) => message?.["method"] === "tools/call");
    expect(call?.text).toContain(`"arguments":${args},"name":"echo"}`);
    expect(call?.text).toMatch(/^\{"x":1,"params":\{"_meta":\{/);
    expect(call?.text).toContain('"id":90071992547409931');
  });

  test("changed lists and updated resources reach the client that subscribed, also after the stream was cut [B6] [A12]", async () => {
    await using backend = await startStatelessBackend();
    await using gateway = await startGateway({
      backends: [{ name: "b", url: backend.url }],
    });
    const session = await openRawSession(gateway.url);
    const other = await openRawSession(gateway.url);
    const stream = await session.openStream();
    const otherStream = await other.openStream();
    const heard = (): readonly string[] => stream.events.map((event) => event);

    const subscribed = await session.request("resources/subscribe", { uri: "doc://one" });
    backend.notify.resourceUpdated("doc://one");
    await waitFor(() => heard().some((event) => event.includes("resources/updated")));
    backend.state.tools.push("added");
    backend.notify.toolsChanged();
    await waitFor(() => heard().some((event) => event.includes("tools/list_changed")));
    const count = heard().length;
    backend.cutConnections();
    await waitFor(() => heard().length > count);

    expect(subscribed).toEqual({ jsonrpc: "2.0", id: 1, result: {} });
    expect(heard().join("")).not.toContain("subscriptionId");
    expect(JSON.parse(heard().at(-1) ?? "")).toMatchObject({
      method: "notifications/resources/updated",
      params: { uri: "doc://one" },
    });
    expect(otherStream.events.join("")).not.toContain("resources/updated");
    const listed = await session.request("tools/list");
    expect(JSON.stringify(listed)).toContain('"added"');
  });

  test("an update reaches the session that subscribed until it unsubscribes, and no other one [A12] [B7] [B17]", async () => {
    await using backend = await startStatelessBackend();
    await using gateway = await startGateway({ backends: [{ name: "b", url: backend.url }] });
    const session = await openRawSession(gateway.url);
    const other = await openRawSession(gateway.url);
    const streams = [await session.openStream(), await other.openStream()];
    await session.request("resources/subscribe", { uri: "doc://one" });
    await other.request("resources/subscribe", { uri: "doc://two" });
    const update = (uri: string): void => backend.notify.resourceUpdated(uri);
    const listens = (): number =>
      backend.methods.filter((method) => method === "subscriptions/listen").length;

    update("doc://one");
    await waitFor(() => streams[0]?.events.length === 1);
    const before = listens();
    await session.request("resources/unsubscribe", { uri: "doc://one" });
    // The stream before it is there until the backend has confirmed the new one.
    await waitFor(() => listens() > before && backend.openListens === 3);
    update("doc://one");
    update("doc://two");
    await waitFor(() => streams[1]?.events.length === 1);

    const heard = streams.map(({ events }) => events.map((event) => JSON.parse(event).params));
    expect(heard).toEqual([[{ uri: "doc://one" }], [{ uri: "doc://two" }]]);
  });

  test("a session that ends leaves no stream open at the backend [A10]", async () => {
    await using backend = await startStatelessBackend();
    await using gateway = await startGateway({ backends: [{ name: "b", url: backend.url }] });
    await gateway.vmcp.probed();
    await waitFor(() => backend.openListens === 1);
    const session = await openRawSession(gateway.url);
    await session.openStream();
    await waitFor(() => backend.openListens === 2);

    await session.request("resources/subscribe", { uri: "doc://one" });
    await session.request("resources/unsubscribe", { uri: "doc://one" });
    await session.delete();

    await waitFor(() => backend.openListens === 1);
    expect(backend.methods).not.toContain("DELETE");
  });
});
