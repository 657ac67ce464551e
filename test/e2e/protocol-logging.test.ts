import { describe, expect, test } from "vitest";
import type { Logger } from "../../src/domain/logger.ts";
import { startGateway } from "../support/gateway.ts";
import { waitFor } from "../support/quiescence.ts";
import { lastMessage, openRawSession } from "../support/raw-client.ts";
import {
  BACKENDS,
  backendSessionOf,
  messagesOn,
  methodsOn,
  startHttp,
  toolCall,
} from "./protocol-backends.ts";

describe.each(BACKENDS)("with a backend over %s", (_transport, startBackend) => {
  // [spec:logging-1] [spec:logging-2] [spec:transport-23]
  test("each client gets messages at its own level, on the stream of its call [B4]", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const talkative = await openRawSession(gateway.url);
    const quiet = await openRawSession(gateway.url);
    await talkative.request("logging/setLevel", { level: "debug" });
    await quiet.request("logging/setLevel", { level: "error" });

    const log = toolCall("log", "log", { level: "info", data: "hello" });
    const [toTalkative, toQuiet] = [await talkative.post(log), await quiet.post(log)];

    expect(messagesOn(toTalkative)).toMatchObject([
      { method: "notifications/message", params: { level: "info", data: "hello" } },
      { id: "log", result: {} },
    ]);
    expect(JSON.parse(toQuiet.text)).toMatchObject({ id: "log", result: {} });
    for (const [session, level] of [
      [talkative, "debug"],
      [quiet, "error"],
    ] as const) {
      const own = await backendSessionOf(backend, session);
      await waitFor(() => own.logLevel === level);
    }
  });

  test("a message below the client's level is dropped, also from a backend that does not care [B4]", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);
    const stream = await session.openStream();
    await backend.canSpeakTo(1);
    await session.request("logging/setLevel", { level: "warning" });

    const levels = ["debug", "notice", "warning", "emergency", "unheard-of"];
    const method = "notifications/message";
    const heard = [];
    for (const level of levels) {
      const params = { level, data: "within a call" };
      const answer = await session.post(toolCall(level, "emit", { method, params }));
      heard.push(methodsOn(answer).includes(method) ? level : "-");
    }
    for (const level of levels) backend.backend.notify(method, { level, data: "outside" });

    expect(heard).toEqual(["-", "-", "warning", "emergency", "unheard-of"]);
    await waitFor(() => stream.events.length === 3);
    expect(messagesOn(stream)).toMatchObject([
      { params: { level: "warning" } },
      { params: { level: "emergency" } },
      { params: { level: "unheard-of" } },
    ]);
    stream.destroy();
  });

  // [spec:logging-3] [spec:transport-29] [spec:transport-31]
  test("a message outside any call goes once, on the GET stream [B4]", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);
    const stream = await session.openStream();
    await backend.canSpeakTo(1);
    await session.request("ping");

    backend.backend.notify("notifications/message", { level: "info", data: "once" });
    backend.backend.notify("notifications/message", { level: "info", data: "twice" });

    await waitFor(() => stream.events.length === 2);
    expect(messagesOn(stream)).toMatchObject([
      { params: { data: "once" } },
      { params: { data: "twice" } },
    ]);
    stream.destroy();
  });

  // [spec:logging-2] [spec:transport-31]
  test("a message within a call goes on its stream and not on the GET stream [B4]", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);
    const stream = await session.openStream();
    await backend.canSpeakTo(1);

    const answer = await session.post(toolCall(1, "log", { level: "error", data: "here" }));

    expect(methodsOn(answer)).toEqual(["notifications/message", undefined]);
    expect(messagesOn(stream)).toEqual([]);
    stream.destroy();
  });
});

// [spec:logging-4]
test.for([[{}], [{ level: "loud" }], [{ level: 3 }], [{ level: "DEBUG" }]])(
  "the level in %j is refused, and the level before it stays",
  async ([params]) => {
    await using backend = await startHttp();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);
    await session.request("logging/setLevel", { level: "alert" });

    const answer = await session.post({
      jsonrpc: "2.0",
      id: 9,
      method: "logging/setLevel",
      params: params ?? {},
    });

    expect([answer.status, lastMessage(answer)]).toMatchObject([
      200,
      { id: 9, error: { code: -32_602, message: expect.stringContaining("params.level") } },
    ]);
    const own = await backendSessionOf(backend, session);
    await waitFor(() => own.logLevel !== undefined);
    expect(own.logLevel).toBe("alert");
  },
);

// [spec:logging-6]
test("what the gateway logs itself reaches no client, and no client's level changes it [B4]", async () => {
  const levels: string[] = [];
  await using backend = await startHttp();
  await using gateway = await startGateway(
    { backends: [backend.entry(), { name: "gone", url: "http://127.0.0.1:9/mcp" }] },
    { logger: recordingLogger(levels) },
  );
  const session = await openRawSession(gateway.url);
  const stream = await session.openStream();
  await session.request("logging/setLevel", { level: "emergency" });
  await waitFor(() => levels.includes("warn"));
  const before = levels.length;

  const other = await openRawSession(gateway.url);

  await waitFor(() => levels.slice(before).includes("warn"));
  expect(messagesOn(stream).filter(({ method }) => method === "notifications/message")).toEqual([]);
  stream.destroy();
  await other.delete();
});

function recordingLogger(levels: string[]): Logger {
  return {
    debug: () => void levels.push("debug"),
    info: () => void levels.push("info"),
    warn: () => void levels.push("warn"),
    error: () => void levels.push("error"),
  };
}
