import type { ServerResponse } from "node:http";
import { expect, test } from "vitest";
import { startGateway } from "../support/gateway.ts";
import { waitFor } from "../support/quiescence.ts";
import { lastMessage, openRawSession, type RawAnswer } from "../support/raw-client.ts";
import {
  answerText,
  callText,
  messagesOn,
  startHttp,
  startStdio,
  toolCall,
} from "./protocol-backends.ts";

/** The ids of all events of a stream, those without data included. */
function idsOn({ text }: RawAnswer): readonly string[] {
  return [...text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id ?? "");
}

// [spec:transport-18] [spec:transport-19]
test.for([
  ["2025-11-25", /^id: \S+\nretry: \d+\ndata: ?\n\n/],
  ["2025-06-18", /^id: \S+\ndata: \{/],
] as const)("streams of %s begin as their clients understand", async ([revision, beginning]) => {
  await using backend = await startStdio();
  await using gateway = await startGateway({ backends: [backend.entry()] });
  const session = await openRawSession(gateway.url, { revision });
  const stream = await session.openStream();
  await callText(session, "count");

  backend.backend.notify("notifications/message", { level: "info", data: "first" });
  await waitFor(() => stream.events.length === 1);
  const call = await session.post(toolCall(9, "slow", { ms: 10, steps: 1 }, "t"));

  expect(stream.text).toMatch(beginning);
  expect(call.text).toMatch(beginning);
  stream.destroy();
});

// [spec:transport-32] [spec:transport-33]
test("event ids of a session never come twice, and those of one stream are told from another's", async () => {
  await using backend = await startStdio();
  await using gateway = await startGateway({ backends: [backend.entry()] });
  const session = await openRawSession(gateway.url);
  const stream = await session.openStream();
  await callText(session, "count");
  for (let data = 0; data < 3; data += 1)
    backend.backend.notify("notifications/message", { level: "info", data });
  await waitFor(() => stream.events.length === 3);

  const calls = await Promise.all(
    [1, 2, 3].map(async (id) => session.post(toolCall(id, "slow", { ms: 30, steps: 3 }, id))),
  );

  const ids = [stream, ...calls].map(idsOn);
  expect(ids.map(({ length }) => length)).toEqual([4, 5, 5, 5]);
  expect(new Set(ids.flat()).size).toBe(19);
  stream.destroy();
});

// [spec:transport-30] [spec:transport-35]
test("a stream that is resumed holds what it missed, and nothing of another stream [B18] [F21] [I3]", async () => {
  await using backend = await startStdio();
  await using gateway = await startGateway({ backends: [backend.entry()] });
  const session = await openRawSession(gateway.url);
  const stream = await session.openStream();
  await callText(session, "count");
  const call = await session.startPost(toolCall("cut", "slow", { ms: 400, steps: 4 }, "t"));
  await waitFor(() => call.events.length > 0);
  const lastId = idsOn(call).at(-1) ?? "";
  const seen = call.events.length;
  call.destroy();
  const other = await session.post(toolCall("other", "slow", { ms: 200, steps: 2 }, "other"));

  const resumed = await session.openStream({ "last-event-id": lastId });
  await resumed.ended;

  expect(messagesOn(resumed).map(({ id, params }) => id ?? params)).toMatchObject([
    ...[1, 2, 3, 4].slice(seen).map((progress) => ({ progressToken: "t", progress })),
    "cut",
  ]);
  expect(messagesOn(other).at(-1)).toMatchObject({ id: "other" });
  expect(messagesOn(stream)).toEqual([]);
  stream.destroy();
});

// [spec:base-18]
test("a batch of a client of 2025-03-26 is answered message by message", async () => {
  await using backend = await startStdio();
  await using gateway = await startGateway({ backends: [backend.entry()] });
  const session = await openRawSession(gateway.url, { revision: "2025-03-26" });
  const batch = [
    toolCall(1, "echo", { text: "one" }),
    { jsonrpc: "2.0", method: "notifications/initialized" },
    { jsonrpc: "2.0", id: 2, method: "ping" },
  ];

  const answer = await session.post(JSON.stringify(batch));

  const answers: readonly { id: number }[] = JSON.parse(answer.text);
  expect(answers.toSorted((left, right) => left.id - right.id)).toMatchObject([
    { id: 1, result: { content: [{ text: "one" }] } },
    { id: 2, result: {} },
  ]);
});

// [spec:transport-20] [spec:transport-21]
test("an answer whose stream a backend cut after an event id is fetched from there, when the backend said", async () => {
  const polls: { readonly atMs: number; readonly lastId: unknown }[] = [];
  let cutAtMs = 0;
  await using backend = await startHttp();
  const answerFor = (id: number): string =>
    `data: {"jsonrpc":"2.0","id":${id},"result":{"content":[{"type":"text","text":"polled"}]}}\n\n`;
  const begin = (response: ServerResponse): void => {
    response.writeHead(200, { "content-type": "text/event-stream" });
  };
  let callId = 0;
  backend.backend.interceptWith(({ method, headers }, body, response) => {
    if (method === "GET" && headers["last-event-id"] !== undefined) {
      polls.push({ atMs: performance.now(), lastId: headers["last-event-id"] });
      begin(response);
      response.end(`id: e2\n${answerFor(callId)}`);
      return true;
    }
    if (!body.includes('"tools/call"')) return false;
    callId = JSON.parse(body).id;
    begin(response);
    response.end("id: e1\nretry: 1200\ndata: \n\n");
    cutAtMs = performance.now();
    return true;
  });
  await using gateway = await startGateway({ backends: [backend.entry()] });
  const session = await openRawSession(gateway.url);

  const answer = await session.post(toolCall(4, "count"));

  expect(answerText(lastMessage(answer))).toBe("polled");
  expect(polls.map(({ lastId }) => lastId)).toEqual(["e1"]);
  // A lower bound, which no slow machine breaks.
  expect((polls[0]?.atMs ?? 0) - cutAtMs).toBeGreaterThanOrEqual(1_200);
});
