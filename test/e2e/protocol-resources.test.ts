import { describe, expect, test } from "vitest";
import { startGateway } from "../support/gateway.ts";
import type { LedgerScript } from "../support/ledger-script.ts";
import { waitFor } from "../support/quiescence.ts";
import { openRawSession } from "../support/raw-client.ts";
import {
  BACKENDS,
  backendSessionOf,
  callText,
  messagesOn,
  methodsAt,
  startHttp,
} from "./protocol-backends.ts";

const BLOB = Buffer.from([0, 255, 10, 13, 128]).toString("base64");

const SCRIPT: Partial<LedgerScript> = {
  resources: ['{"uri":"m://one","name":"one"}', '{"uri":"m://blob","name":"blob"}'],
  resourceTemplates: ['{"uriTemplate":"t://{id}/x","name":"t"}'],
  prompts: ['{"name":"greet","arguments":[{"name":"who","required":true}]}'],
  contents: new Map([
    ["m://blob", `{"contents":[{"uri":"m://blob","mimeType":"x/y","blob":"${BLOB}"}]}`],
  ]),
};

describe.each(BACKENDS)("with a backend over %s", (_transport, startBackend) => {
  // [spec:resources-5]
  test("resources are read as text and as bytes, by URI and by template, each from its own backend [B7]", async () => {
    await using first = await startBackend({ ...SCRIPT, name: "first" });
    await using second = await startBackend({
      name: "second",
      resources: ['{"uri":"m://two","name":"two"}'],
      resourceTemplates: ['{"uriTemplate":"u://{id}","name":"u"}'],
    });
    await using gateway = await startGateway({
      backends: [first.entry("one"), second.entry("two")],
    });
    const session = await openRawSession(gateway.url);

    const answers = [];
    for (const uri of ["m://one", "m://two", "m://blob", "t://7/x", "u://8"])
      answers.push(await session.request("resources/read", { uri }));

    expect(answers).toMatchObject([
      { result: { contents: [{ uri: "m://one", text: "m://one of first" }] } },
      { result: { contents: [{ uri: "m://two", text: "m://two of second" }] } },
      { result: { contents: [{ uri: "m://blob", blob: BLOB }] } },
      { result: { contents: [{ uri: "t://7/x", text: "t://7/x of first" }] } },
      { result: { contents: [{ uri: "u://8", text: "u://8 of second" }] } },
    ]);
  });

  // [spec:transport-31]
  test("an update reaches the subscriber, until it unsubscribes, and nobody else [A12] [B7]", async () => {
    await using backend = await startBackend(SCRIPT);
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const subscriber = await openRawSession(gateway.url);
    const other = await openRawSession(gateway.url);
    const [toSubscriber, toOther] = [await subscriber.openStream(), await other.openStream()];
    await backend.canSpeakTo(2);

    await subscriber.request("resources/subscribe", { uri: "m://one" });
    const heardFirst = backend.backend.resourceUpdated("m://one");
    const heardOfOther = backend.backend.resourceUpdated("m://blob");
    await waitFor(() => toSubscriber.events.length === 1);
    await subscriber.request("resources/unsubscribe", { uri: "m://one" });
    const heardLast = backend.backend.resourceUpdated("m://one");
    await callText(subscriber, "count");

    expect([heardFirst, heardOfOther, heardLast]).toEqual([1, 0, 0]);
    expect(messagesOn(toSubscriber)).toEqual([
      { jsonrpc: "2.0", method: "notifications/resources/updated", params: { uri: "m://one" } },
    ]);
    expect(messagesOn(toOther)).toEqual([]);
    toSubscriber.destroy();
    toOther.destroy();
  });

  test("an update that comes while no stream is open waits for the next one [A12]", async () => {
    await using backend = await startBackend(SCRIPT);
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);
    await session.request("resources/subscribe", { uri: "m://one" });
    await waitFor(() => backend.backend.resourceUpdated("m://one") === 1);
    await session.request("ping");

    const stream = await session.openStream();

    await waitFor(() => stream.events.length > 0);
    expect(messagesOn(stream)[0]).toMatchObject({ params: { uri: "m://one" } });
    stream.destroy();
  });

  test("a prompt is got with its arguments [B7]", async () => {
    await using backend = await startBackend(SCRIPT);
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);

    const answer = await session.request("prompts/get", {
      name: "greet",
      arguments: { who: "you" },
    });

    expect(answer).toMatchObject({
      result: { messages: [{ role: "user", content: { text: "prompt greet of ledger" } }] },
    });
    const got = backend.backend.ledger.messages.find(({ method }) => method === "prompts/get");
    expect(JSON.parse(got?.text ?? "").params).toEqual({
      name: "greet",
      arguments: { who: "you" },
    });
  });

  test("completions go to the owner of the prompt or template, under the name that it knows [B7]", async () => {
    await using first = await startBackend({
      ...SCRIPT,
      name: "first",
      completion: '{"completion":{"values":["of first"]}}',
    });
    await using second = await startBackend({
      name: "second",
      prompts: ['{"name":"greet"}'],
      completion: '{"completion":{"values":["of second"]}}',
    });
    await using gateway = await startGateway({
      backends: [first.entry("one"), second.entry("two")],
    });
    const session = await openRawSession(gateway.url);
    const argument = { name: "who", value: "a" };
    const context = { arguments: { earlier: "b" } };

    const answers = [];
    for (const ref of [
      { type: "ref/prompt", name: "one_greet" },
      { type: "ref/prompt", name: "two_greet" },
      { type: "ref/resource", uri: "t://{id}/x" },
    ])
      answers.push(await session.request("completion/complete", { ref, argument, context }));

    expect(answers).toMatchObject([
      { result: { completion: { values: ["of first"] } } },
      { result: { completion: { values: ["of second"] } } },
      { result: { completion: { values: ["of first"] } } },
    ]);
    const asked = [first, second].flatMap(({ backend }) =>
      backend.ledger.messages.filter(({ method }) => method === "completion/complete"),
    );
    expect(asked.map(({ text }) => JSON.parse(text).params)).toEqual([
      { ref: { type: "ref/prompt", name: "greet" }, argument, context },
      { ref: { type: "ref/resource", uri: "t://{id}/x" }, argument, context },
      { ref: { type: "ref/prompt", name: "greet" }, argument, context },
    ]);
  });

  // [spec:prompts-3] [spec:prompts-7] [spec:completion-2] [spec:completion-3] [spec:resources-4]
  test.for<[string, object]>([
    ["prompts/get", { name: "unknown" }],
    ["prompts/get", { name: 7 }],
    ["prompts/get", { name: "greet", arguments: "who" }],
    ["completion/complete", { ref: { type: "ref/prompt", name: "unknown" }, argument: {} }],
    ["completion/complete", { ref: { type: "ref/resource", uri: "no://x" }, argument: {} }],
    ["completion/complete", { ref: { type: "ref/tool", name: "count" }, argument: {} }],
    ["completion/complete", { argument: {} }],
    ["resources/read", { uri: 7 }],
    ["resources/read", {}],
    ["resources/subscribe", { uri: null }],
  ])("%s with %j is refused with -32602, and no backend hears of it", async ([method, params]) => {
    await using backend = await startBackend({ ...SCRIPT, resources: [], resourceTemplates: [] });
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);

    const answer = await session.request(method, { ...params });

    expect(answer).toMatchObject({ error: { code: -32_602 } });
    expect(backend.backend.ledger.messages.map((message) => message.method)).not.toContain(method);
  });
});

// [spec:prompts-4] [spec:completion-2]
test("a backend's own error about arguments passes as it is", async () => {
  await using backend = await startHttp(SCRIPT);
  await using gateway = await startGateway({ backends: [backend.entry()] });
  const session = await openRawSession(gateway.url);
  const error = { code: -32_602, message: "Missing required argument: who", data: { name: "who" } };
  backend.backend.interceptWith((_request, body, response) => {
    if (!/"(?:prompts\/get|completion\/complete)"/.test(body)) return false;
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ jsonrpc: "2.0", id: JSON.parse(body).id, error }));
    return true;
  });
  const ref = { type: "ref/prompt", name: "greet" };

  const answers = [
    await session.request("prompts/get", { name: "greet" }),
    await session.request("completion/complete", { ref, argument: { name: "who", value: "" } }),
  ];

  expect(answers).toEqual([
    { jsonrpc: "2.0", id: 1, error },
    { jsonrpc: "2.0", id: 2, error },
  ]);
});

// [spec:completion-5]
test("a prompt that the configuration hides cannot be got or completed", async () => {
  await using backend = await startHttp(SCRIPT);
  await using gateway = await startGateway({
    backends: [backend.entry()],
    aggregation: { prompts: [{ workload: "b", filter: ["nothing-else"] }] },
  });
  const session = await openRawSession(gateway.url);
  const ref = { type: "ref/prompt", name: "greet" };

  const answers = [
    await session.request("prompts/list"),
    await session.request("prompts/get", { name: "greet" }),
    await session.request("completion/complete", { ref, argument: { name: "who", value: "" } }),
  ];

  expect(answers).toMatchObject([
    { result: { prompts: [] } },
    { error: { code: -32_602 } },
    { error: { code: -32_602 } },
  ]);
  const own = await backendSessionOf(backend, session);
  expect(methodsAt(backend, own)).not.toContain("completion/complete");
});
