import { expect, test } from "vitest";
import type { VmcpConfigInput } from "../../src/config/load-config.ts";
import { isJsonObject, type JsonObject } from "../../src/domain/json.ts";
import {
  startStatelessBackend,
  STATELESS_CHILD,
  type StatelessBackendOptions,
} from "../support/backend/stateless-backend.ts";
import { auditFile } from "../support/audit-records.ts";
import { textOf } from "../support/clients.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";
import { waitFor } from "../support/quiescence.ts";
import {
  askStateless,
  connectStateless,
  postStateless,
  resultOf,
  startStateless,
  statelessHeaders,
  statelessMessage,
} from "../support/stateless-client.ts";
import { messagesOn } from "./protocol-backends.ts";

const ABILITIES = { capabilities: { elicitation: { form: {} }, sampling: {}, roots: {} } };
const ANSWER = { action: "accept", content: { name: "Ada" } };
const KEYS = { server: { stateKeys: ["new secret", "old secret"] } };

async function behind(url: string, input: VmcpConfigInput = {}): Promise<Gateway> {
  return startGateway({ backends: [{ name: "b", url }], ...input });
}

type BackendEntry = NonNullable<VmcpConfigInput["backends"]>[number];

async function reloadTo({ vmcp }: Gateway, backend: BackendEntry): Promise<void> {
  const aggregation = { conflictResolution: "prefixOnConflict" } as const;
  await vmcp.reload({ backends: [backend], aggregation });
}

/** The retry of a call that was answered with a question. */
async function askedAt({ url }: Gateway): Promise<JsonObject> {
  const { requestState = "" } = await resultOf(url, "tools/call", { name: "ask" }, ABILITIES);
  return { name: "ask", requestState, inputResponses: { name: ANSWER } };
}

test("a stateless backend's question passes through, and any instance with the same keys takes the answer [A19] [B17]", async () => {
  await using backend = await startStatelessBackend();
  await using first = await behind(backend.url, { server: { stateKeys: ["old secret"] } });
  await using second = await behind(backend.url, KEYS);

  const asked = await resultOf(first.url, "tools/call", { name: "ask" }, ABILITIES);
  const { requestState = "" } = asked;
  const retry = { name: "ask", requestState, inputResponses: { name: ANSWER } };
  const done = await resultOf(second.url, "tools/call", retry, ABILITIES);

  expect(asked).toMatchObject({
    resultType: "input_required",
    inputRequests: { name: { method: "elicitation/create" } },
  });
  expect(requestState).not.toContain("état");
  expect(JSON.parse(textOf(done))).toEqual({ answer: ANSWER, state: "état €" });
});

test.for<[string, VmcpConfigInput, VmcpConfigInput]>([
  ["without common keys", {}, {}],
  ["with other keys", { server: { stateKeys: ["theirs"] } }, KEYS],
])("another instance %s takes no answer", async ([, left, right]) => {
  await using backend = await startStatelessBackend();
  await using first = await behind(backend.url, left);
  await using second = await behind(backend.url, right);
  const { requestState = "" } = await resultOf(first.url, "tools/call", { name: "ask" }, ABILITIES);
  const calls = backend.state.calls;

  const retry = { name: "ask", requestState, inputResponses: { name: ANSWER } };
  const refused = await askStateless(second.url, "tools/call", retry, ABILITIES);

  expect(refused).toMatchObject({ error: { code: -32_602 } });
  expect(backend.state.calls).toBe(calls);
});

test.for([["without"], ["with"]])(
  "what one server gave to be handed back is never handed to another one of its name, %s an audit log [B17]",
  async ([kind]) => {
    const input = kind === "with" ? { audit: { enabled: true, logFile: auditFile() } } : {};
    await using first = await startStatelessBackend();
    await using second = await startStatelessBackend();
    second.state.tools.push("new");
    await using gateway = await behind(first.url, input);
    const [kept, gone] = [await askedAt(gateway), await askedAt(gateway)];

    await reloadTo(gateway, { name: "b", url: first.url, timeouts: { call: "55s" } });
    const same = await askStateless(gateway.url, "tools/call", kept, ABILITIES);
    await reloadTo(gateway, { name: "b", url: second.url });
    const session = gateway.vmcp.sessions.liveSessions()[0];
    await waitFor(() => session?.tools.some(({ name }) => name === "new"));
    const other = await askStateless(gateway.url, "tools/call", gone, ABILITIES);

    expect(same).toMatchObject({ result: { resultType: "complete" } });
    expect(other).toMatchObject({
      error: { code: -32_602, message: expect.stringContaining("start again without it") },
    });
    expect(second.state.calls).toBe(0);
  },
);

test("a round that was answered is not answered again, and one that was refused for its shape is [I1]", async () => {
  await using backend = await startStatelessBackend();
  await using gateway = await behind(backend.url);
  const { requestState = "" } = await resultOf(
    gateway.url,
    "tools/call",
    { name: "ask" },
    ABILITIES,
  );
  const retry = { name: "ask", requestState };
  const send = async (inputResponses: JsonObject): Promise<JsonObject> =>
    askStateless(gateway.url, "tools/call", { ...retry, inputResponses }, ABILITIES);

  const misshapen = await send({ name: 7 });
  const done = await send({ name: ANSWER });
  const again = await send({ name: ANSWER });

  expect([misshapen, done, again]).toMatchObject([
    { error: { code: -32_602 } },
    { result: { resultType: "complete" } },
    { error: { code: -32_602 } },
  ]);
});

test("the SDK's client goes through as many rounds as a backend wants [B5] [B17]", async () => {
  await using backend = await startStatelessBackend();
  await using gateway = await behind(backend.url);
  await using connected = await connectStateless(gateway.url, { onElicitation: () => ANSWER });

  const result = await connected.client.callTool({ name: "askOften", arguments: { rounds: 3 } });

  expect(textOf(result)).toBe("after 3");
});

test("a state without a question is given back like any other", async () => {
  await using backend = await startStatelessBackend();
  await using gateway = await behind(backend.url);

  const { requestState = "" } = await resultOf(gateway.url, "tools/call", { name: "later" });
  const done = await resultOf(gateway.url, "tools/call", { name: "later", requestState });

  expect(textOf(done)).toBe("at last");
});

test("a backend sees the client's own capabilities and no more, request by request [B17]", async () => {
  await using backend = await startStatelessBackend();
  await using gateway = await behind(backend.url);
  const capabilitiesOf = async (capabilities: JsonObject): Promise<unknown> => {
    const result = await resultOf(
      gateway.url,
      "tools/call",
      { name: "envelope" },
      { capabilities },
    );
    return JSON.parse(textOf(result))["io.modelcontextprotocol/clientCapabilities"];
  };

  const [none, some] = await Promise.all([
    capabilitiesOf({}),
    capabilitiesOf({ elicitation: { form: {} } }),
  ]);

  expect(none).toEqual({});
  expect(some).toEqual({ elicitation: { form: {} } });
});

test("progress and logs come on the answer's stream as the request wants them [B2] [B4] [B17]", async () => {
  await using backend = await startStatelessBackend();
  await using gateway = await behind(backend.url);
  const options = { meta: { progressToken: "mine" }, logLevel: "warning" };
  const call = (name: string, args: JsonObject): JsonObject =>
    statelessMessage("id", "tools/call", { name, arguments: args }, options);

  const progress = await postStateless(gateway.url, call("progress", { steps: 2 }));
  const logged = await postStateless(gateway.url, call("log", { level: "error", data: "x" }));
  const silent = await postStateless(gateway.url, call("log", { level: "info", data: "x" }));

  expect(messagesOn(progress)).toMatchObject([
    { params: { progressToken: "mine", progress: 1 } },
    { params: { progressToken: "mine", progress: 2 } },
    { id: "id", result: {} },
  ]);
  expect(messagesOn(logged)).toMatchObject([{ params: { level: "error" } }, { id: "id" }]);
  expect(JSON.parse(silent.text)).toMatchObject({ id: "id" });
});

test("closing the stream reaches the backend [B3] [B17]", async () => {
  await using backend = await startStatelessBackend();
  await using gateway = await behind(backend.url);
  await resultOf(gateway.url, "server/discover");
  const message = statelessMessage(1, "tools/call", { name: "wait" });
  const leaving = new AbortController();
  const answer = fetch(gateway.url, {
    method: "POST",
    headers: statelessHeaders(message),
    body: JSON.stringify(message),
    signal: leaving.signal,
  });
  await waitFor(() => backend.state.calls === 1);

  leaving.abort();

  await expect(answer).rejects.toThrow("aborted");
  await waitFor(() => backend.state.cancelled === 1);
});

test("resources, prompts and completions are had as from any backend [B7] [B17]", async () => {
  await using backend = await startStatelessBackend();
  await using gateway = await behind(backend.url);

  const read = await resultOf(gateway.url, "resources/read", { uri: "doc://seven" });
  const prompt = await resultOf(gateway.url, "prompts/get", {
    name: "greet",
    arguments: { who: "A" },
  });
  const completion = await resultOf(gateway.url, "completion/complete", {
    ref: { type: "ref/prompt", name: "greet" },
    argument: { name: "who", value: "A" },
  });

  expect(read).toMatchObject({
    contents: [{ text: "text of doc://seven" }],
    resultType: "complete",
  });
  expect(prompt).toMatchObject({ messages: [{ content: { text: "Greet A" } }] });
  expect(completion).toMatchObject({ completion: { values: ["A!"] } });
});

test.for([
  [[60_000, "public"], [90_000, "public"], "public"],
  [[60_000, "public"], [90_000, "private"], "private"],
] as const)(
  "lists may be kept as long as every backend lets them, with the hints %j and %j [B17]",
  async ([left, right, cacheScope]) => {
    const hintsOf = ([ttlMs, scope]: typeof left | typeof right): StatelessBackendOptions => {
      const hint = { ttlMs, cacheScope: scope };
      const lists = ["tools/list", "prompts/list", "resources/list", "resources/templates/list"];
      return { cacheHints: Object.fromEntries(lists.map((method) => [method, hint])) };
    };
    await using first = await startStatelessBackend(hintsOf(left));
    await using second = await startStatelessBackend(hintsOf(right));
    await using third = await startStatelessBackend();
    const backends = [first, second].map(({ url }, index) => ({ name: `b${index}`, url }));
    await using hinted = await startGateway({ backends });
    await using silent = await behind(third.url);

    const list = await resultOf(hinted.url, "tools/list");
    const unknown = await resultOf(silent.url, "tools/list");

    expect(list).toMatchObject({ cacheScope });
    expect(list["ttlMs"]).toBeGreaterThan(0);
    expect(list["ttlMs"]).toBeLessThanOrEqual(60_000);
    expect(unknown).toMatchObject({ ttlMs: 0, cacheScope: "private" });
  },
);

test("a listener hears of changes at a stateless backend [B6] [B7] [B17]", async () => {
  await using backend = await startStatelessBackend();
  await using gateway = await behind(backend.url);
  const filter = { toolsListChanged: true, resourceSubscriptions: ["doc://one"] };
  const message = statelessMessage("l", "subscriptions/listen", { notifications: filter });
  const stream = await startStateless(gateway.url, message);
  await waitFor(() => stream.events.length === 1 && backend.openListens > 0);

  backend.notify.resourceUpdated("doc://one");
  await waitFor(() => stream.events.length === 2);
  backend.state.tools.pop();
  backend.notify.toolsChanged();
  await waitFor(() => stream.events.length === 3);

  const meta = { _meta: { "io.modelcontextprotocol/subscriptionId": "l" } };
  expect(messagesOn(stream)).toEqual([
    expect.objectContaining({ params: { ...meta, notifications: filter } }),
    expect.objectContaining({ params: { ...meta, uri: "doc://one" } }),
    expect.objectContaining({ method: "notifications/tools/list_changed", params: meta }),
  ]);
  stream.destroy();
});

test("the same holds of a stateless backend over stdio [B17]", async () => {
  const args = [STATELESS_CHILD, "modern-only"];
  const backends = [{ name: "b", command: process.execPath, args }];
  await using gateway = await startGateway({ backends });
  await using connected = await connectStateless(gateway.url, { onElicitation: () => ANSWER });

  const { tools } = await connected.client.listTools();
  const result = await connected.client.callTool({ name: "ask" });

  expect(tools.length).toBeGreaterThan(0);
  expect(isJsonObject(JSON.parse(textOf(result))["answer"])).toBe(true);
});
