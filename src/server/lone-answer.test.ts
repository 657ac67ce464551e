import { expect, test } from "vitest";
import { startHost } from "./testing/host.ts";
import { SESSION_ID } from "../gateway/testing/edge-session.ts";

const EVENTS_ONLY = { accept: "text/event-stream" };

async function post(url: string, message: object, headers: Record<string, string>) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", "mcp-session-id": SESSION_ID, ...headers },
    body: JSON.stringify(message),
  });
  return { type: response.headers.get("content-type"), text: await response.text() };
}

const PING = { jsonrpc: "2.0", id: "1\r\n\r\ndata: forged", method: "ping" };

test("a client that reads nothing but event streams gets a lone answer as one event", async () => {
  await using edge = await startHost();

  const { type, text } = await post(edge.url, PING, EVENTS_ONLY);

  expect(type).toBe("text/event-stream");
  expect(text.match(/^data: /gm)).toHaveLength(1);
  expect(JSON.parse(text.replace("data: ", ""))).toEqual({
    jsonrpc: "2.0",
    id: PING.id,
    result: {},
  });
});

test("an error in the terms of MCP comes as an event too, and a refusal as JSON", async () => {
  await using edge = await startHost();
  const level = { jsonrpc: "2.0", id: 1, method: "logging/setLevel", params: { level: "shout" } };

  const answers = [
    await post(edge.url, level, EVENTS_ONLY),
    await post(edge.url, PING, { ...EVENTS_ONLY, "mcp-protocol-version": "banana" }),
  ];

  expect(answers.map(({ type }) => type)).toEqual(["text/event-stream", "application/json"]);
  expect(answers[0]?.text).toMatch(/^data: \{.*"code":-32602.*\}\n\n$/);
});

test("a client that reads both gets JSON", async () => {
  await using edge = await startHost();

  const { type } = await post(edge.url, PING, { accept: "text/event-stream, application/json" });

  expect(type).toBe("application/json");
});
