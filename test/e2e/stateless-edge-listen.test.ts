import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/domain/json.ts";
import { startGateway } from "../support/gateway.ts";
import { waitFor } from "../support/quiescence.ts";
import type { RawAnswer } from "../support/raw-client.ts";
import {
  askStateless,
  connectStateless,
  postStateless,
  resultOf,
  startStateless,
  statelessMessage,
} from "../support/stateless-client.ts";
import { BACKENDS, messagesOn, type TestBackend } from "./protocol-backends.ts";

const ID = "io.modelcontextprotocol/subscriptionId";
const LATER_TOOL = '{"name":"later","inputSchema":{"type":"object"}}';
const RESOURCES = ['{"name":"a","uri":"test://a"}', '{"name":"b","uri":"test://b"}'];

describe.each(BACKENDS)("in front of a sessionful backend over %s", (_transport, startBackend) => {
  test("a listener hears first what is honoured, then only what it asked for, under the id of its request [B6] [B17]", async () => {
    await using backend = await startBackend({ resources: RESOURCES });
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const stream = await listen(gateway.url, "mine", { toolsListChanged: true });
    await hears(backend, 1);

    backend.backend.change({ tools: [LATER_TOOL] });
    backend.backend.notify("notifications/tools/list_changed");
    backend.backend.change({ resources: RESOURCES.slice(1) });
    backend.backend.notify("notifications/resources/list_changed");
    await waitFor(() => stream.events.length === 2);
    const { tools } = await resultOf(gateway.url, "tools/list");

    expect(messagesOn(stream)).toEqual([
      acknowledged("mine", { toolsListChanged: true }),
      notice("mine", "notifications/tools/list_changed"),
    ]);
    expect(JSON.stringify(tools)).toContain("later");
    stream.destroy();
  });

  test("listeners share one stream and one subscription, and each hears of its own resources [A12] [B7] [B17]", async () => {
    await using backend = await startBackend({ resources: RESOURCES });
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const first = await listen(gateway.url, 1, { resourceSubscriptions: ["test://a"] });
    const second = await listen(gateway.url, 1, {
      resourceSubscriptions: ["test://a", "test://b"],
    });
    await hears(backend, 1);

    backend.backend.resourceUpdated("test://b");
    await waitFor(() => second.events.length === 2);
    backend.backend.resourceUpdated("test://a");
    await waitFor(() => first.events.length === 2 && second.events.length === 3);

    const b = { uri: "test://b" };
    const a = { uri: "test://a" };
    expect(messagesOn(first)).toEqual([
      acknowledged(1, { resourceSubscriptions: ["test://a"] }),
      notice(1, "notifications/resources/updated", a),
    ]);
    expect(messagesOn(second)).toEqual([
      acknowledged(1, { resourceSubscriptions: ["test://a", "test://b"] }),
      notice(1, "notifications/resources/updated", b),
      notice(1, "notifications/resources/updated", a),
    ]);
    expect(requestsOf(backend, "resources/subscribe")).toHaveLength(2);
    first.destroy();
    second.destroy();
  });

  test("closing a stream unsubscribes what nobody else listens to, and the session is free to end [B7] [B17]", async () => {
    await using backend = await startBackend({ resources: RESOURCES });
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const both = { resourceSubscriptions: ["test://a", "test://b"] };
    const first = await listen(gateway.url, 1, both);
    const second = await listen(gateway.url, 2, { resourceSubscriptions: ["test://a"] });
    const [session] = gateway.vmcp.sessions.liveSessions();

    first.destroy();
    await waitFor(() => requestsOf(backend, "resources/unsubscribe").length === 1);
    const isHeld = session?.isBusy;
    second.destroy();
    await waitFor(() => requestsOf(backend, "resources/unsubscribe").length === 2);

    expect(isHeld).toBe(true);
    expect(requestsOf(backend, "resources/unsubscribe")).toEqual(["test://b", "test://a"]);
    await waitFor(() => session?.isBusy === false);
  });

  test("a gateway that shuts down ends a listener's stream with its result [F30] [B17]", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const stream = await listen(gateway.url, "x", { promptsListChanged: true });

    await gateway.vmcp.close();
    await stream.ended;

    expect(messagesOn(stream).at(-1)).toMatchObject({
      id: "x",
      result: { resultType: "complete", _meta: { [ID]: "x" } },
    });
  });

  test.for([["nobody else listens"], ["somebody else listens"]])(
    "who begins to listen while the session ends and %s hears the next one [B6] [B11] [B17]",
    async ([kind]) => {
      await using backend = await startBackend({ resources: RESOURCES });
      await using gateway = await startGateway({
        backends: [backend.entry()],
        operational: { sessionManagementV2: true, sessions: { drainDeadline: "500ms" } },
      });
      const filter = { toolsListChanged: true, resourceSubscriptions: ["test://a"] };
      const others = kind === "nobody else listens" ? [] : [await listen(gateway.url, 1, filter)];
      const hanging = postStateless(
        gateway.url,
        statelessMessage(2, "tools/call", { name: "hang", arguments: {} }),
      );
      await waitFor(() => backend.backend.ledger.calls.length === 1);
      const [ending] = gateway.vmcp.sessions.liveSessions();

      const ended = gateway.vmcp.sessions.terminate(ending?.id ?? "");
      const stream = await listen(gateway.url, 3, filter);
      await ended;
      await waitFor(() => backend.backend.sessions.length === 1);
      await hears(backend, 1);
      backend.backend.resourceUpdated("test://a");
      await waitFor(() => stream.events.length === 2);

      expect(messagesOn(stream)).toEqual([
        acknowledged(3, filter),
        notice(3, "notifications/resources/updated", { uri: "test://a" }),
      ]);
      stream.destroy();
      await Promise.all([hanging, ...others.map(async (other) => other.ended)]);
    },
  );

  test("the SDK's client listens", async () => {
    await using backend = await startBackend({ resources: RESOURCES });
    await using gateway = await startGateway({ backends: [backend.entry()] });
    await using connected = await connectStateless(gateway.url);
    const { client } = connected;
    const updated: unknown[] = [];
    client.setNotificationHandler("notifications/resources/updated", ({ params }) => {
      updated.push(params.uri);
    });
    const subscription = await client.listen({ resourceSubscriptions: ["test://a"] });
    await hears(backend, 1);

    backend.backend.resourceUpdated("test://a");

    await waitFor(() => updated.length === 1);
    expect(subscription.honoredFilter).toEqual({ resourceSubscriptions: ["test://a"] });
    await subscription.close();
  });
});

describe("what is asked for", () => {
  const [, startBackend] = BACKENDS[0] ?? [];
  if (startBackend === undefined) throw new Error("there is no backend");

  test.for([
    [undefined],
    [3],
    [[]],
    [{ resourceSubscriptions: "a" }],
    [{ resourceSubscriptions: [1] }],
  ])("the filter %j is refused", async ([notifications]) => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const params = notifications === undefined ? {} : { notifications };

    const answer = await askStateless(gateway.url, "subscriptions/listen", params);

    expect(answer).toMatchObject({ error: { code: -32_602 } });
  });

  test("more resources than a listener may have are acknowledged up to the limit [MO-020]", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const uris = Array.from({ length: 2_000 }, (_value, index) => `test://${index}`);
    const message = statelessMessage(1, "subscriptions/listen", {
      notifications: { resourceSubscriptions: uris, toolsListChanged: true },
    });

    const stream = await startStateless(gateway.url, message);
    await waitFor(() => stream.events.length === 1);

    expect(messagesOn(stream)).toEqual([acknowledged(1, { toolsListChanged: true })]);
    stream.destroy();
  });

  test("a resource that nobody has is left out of what is acknowledged", async () => {
    await using first = await startBackend({ resources: RESOURCES });
    await using second = await startBackend({ resources: ['{"name":"c","uri":"test://c"}'] });
    await using gateway = await startGateway({
      backends: [first.entry("first"), second.entry("second")],
    });

    const stream = await listen(gateway.url, 1, {
      resourceSubscriptions: ["test://a", "test://none", "test://c"],
    });

    expect(messagesOn(stream)).toEqual([
      acknowledged(1, { resourceSubscriptions: ["test://a", "test://c"] }),
    ]);
    stream.destroy();
  });

  test("a listener that lacks what it needs to read events is refused", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const message = statelessMessage(1, "subscriptions/listen", { notifications: {} });

    const answer = await postStateless(gateway.url, message, { accept: "application/json" });

    expect(answer.status).toBe(406);
  });
});

async function listen(url: string, id: number | string, filter: JsonObject): Promise<RawAnswer> {
  const message = statelessMessage(id, "subscriptions/listen", { notifications: filter });
  const stream = await startStateless(url, message);
  await waitFor(() => stream.events.length > 0);
  return stream;
}

/** The backend can speak to the one session that all clients share. */
async function hears(backend: TestBackend, sessions: number): Promise<void> {
  await backend.canSpeakTo(sessions);
}

function acknowledged(id: number | string, notifications: JsonObject): JsonObject {
  return notice(id, "notifications/subscriptions/acknowledged", { notifications });
}

function notice(id: number | string, method: string, params: JsonObject = {}): JsonObject {
  return { jsonrpc: "2.0", method, params: { ...params, _meta: { [ID]: id } } };
}

function requestsOf({ backend }: TestBackend, method: string): readonly unknown[] {
  return backend.ledger.messages
    .filter((message) => message.method === method)
    .map(({ text }) => JSON.parse(text).params.uri);
}
