import { request as httpRequest, type IncomingMessage } from "node:http";
import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/domain/json.ts";
import { startGateway } from "../support/gateway.ts";
import { startHttpLedger } from "../support/ledger-backend.ts";
import { startStdioLedger } from "../support/ledger-stdio.ts";
import { waitFor } from "../support/quiescence.ts";
import { openRawSession, type RawSession } from "../support/raw-client.ts";

interface ReceivedEvent {
  readonly id: string | undefined;
  readonly data: string;
}

/** A stream whose connection the test can cut at any moment. */
interface CutStream {
  readonly status: number;
  readonly events: readonly ReceivedEvent[];
  readonly isEnded: () => boolean;
  cut(): void;
}

async function openStream(
  url: string,
  session: RawSession,
  options: { readonly body?: JsonObject; readonly lastEventId?: string } = {},
): Promise<CutStream> {
  const { body, lastEventId } = options;
  const request = httpRequest(url, {
    method: body === undefined ? "GET" : "POST",
    agent: false,
    headers: {
      ...session.headers,
      accept: "application/json, text/event-stream",
      ...(body !== undefined && { "content-type": "application/json" }),
      ...(lastEventId !== undefined && { "last-event-id": lastEventId }),
    },
  });
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request.on("response", resolve);
    request.on("error", reject);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
  const events: ReceivedEvent[] = [];
  let text = "";
  let isEnded = false;
  response.setEncoding("utf8");
  response.on("data", (chunk: string) => {
    const parts = (text + chunk).split("\n\n");
    text = parts.pop() ?? "";
    events.push(...parts.filter((part) => !part.startsWith(":")).map(toEvent));
  });
  response.on("end", () => {
    isEnded = true;
  });
  request.on("error", () => {});
  return {
    status: response.statusCode ?? 0,
    events,
    isEnded: () => isEnded,
    cut: () => void request.destroy(),
  };
}

function toEvent(part: string): ReceivedEvent {
  const lines = part.split("\n");
  const field = (name: string): string | undefined =>
    lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
  return { id: field("id"), data: field("data") ?? "" };
}

function messagesOf(stream: CutStream): readonly string[] {
  return stream.events.flatMap(({ data }) => (data === "" ? [] : [data]));
}

describe.each(["HTTP", "stdio"])("with a backend over %s", (kind) => {
  async function startBackend() {
    if (kind === "HTTP") {
      const backend = await startHttpLedger();
      return { backend, config: { url: backend.url } };
    }
    const backend = await startStdioLedger();
    return { backend, config: { command: backend.command, args: [...backend.args] } };
  }

  test("a GET stream that was cut goes on with exactly the events that were missed [B18] [F21]", async () => {
    const { backend, config } = await startBackend();
    await using _backend = backend;
    await using gateway = await startGateway({ backends: [{ name: "b1", ...config }] });
    // The probe's own backend session must not be there to hear what is said.
    await gateway.vmcp.probed();
    const session = await openRawSession(gateway.url);
    const first = await openStream(gateway.url, session);
    const say = async (data: string): Promise<void> => {
      await waitFor(() => backend.notify("notifications/message", { level: "info", data }) === 1);
    };
    await say("one");
    await say("two");
    await waitFor(() => messagesOf(first).length === 2);
    const [, afterOne] = first.events;

    first.cut();
    await say("three");
    const second = await openStream(gateway.url, session, { lastEventId: afterOne?.id ?? "" });
    await say("four");

    await waitFor(() => messagesOf(second).length >= 3);
    const texts = messagesOf(second).map((message) => JSON.parse(message).params.data);
    expect(texts).toEqual(["two", "three", "four"]);
  });

  test("a call whose stream was cut goes on, and its answer waits for the client [F21] [I1]", async () => {
    const { backend, config } = await startBackend();
    await using _backend = backend;
    await using gateway = await startGateway({ backends: [{ name: "b1", ...config }] });
    const session = await openRawSession(gateway.url);
    const body = {
      jsonrpc: "2.0",
      id: 7,
      method: "tools/call",
      params: { name: "slow", arguments: { ms: 300, steps: 3 }, _meta: { progressToken: "p" } },
    };
    const call = await openStream(gateway.url, session, { body });
    await waitFor(() => messagesOf(call).length > 0);
    const lastEventId = call.events.at(-1)?.id ?? "";
    const seen = messagesOf(call).length;

    call.cut();
    const resumed = await openStream(gateway.url, session, { lastEventId });

    await waitFor(() => resumed.isEnded());
    const messages = messagesOf(resumed).map((text): JsonObject => JSON.parse(text));
    expect(messages.at(-1)).toMatchObject({ id: 7, result: {} });
    expect(seen + messages.length).toBe(4);
    expect(backend.ledger.calls).toHaveLength(1);
    expect(backend.ledger.cancellations).toHaveLength(0);
  });
});

describe("what cannot be gone on with", () => {
  test.for(["", "x", "1-99", "zz-1", "1-1;drop", "9".repeat(400), "-1", "1--1"])(
    "the event id %j of no stream is refused and harms nobody",
    async (lastEventId) => {
      await using backend = await startHttpLedger();
      await using gateway = await startGateway({ backends: [{ name: "b1", url: backend.url }] });
      const session = await openRawSession(gateway.url);
      const stream = await openStream(gateway.url, session);

      const refused = await openStream(gateway.url, session, { lastEventId });

      expect(refused.status).toBe(400);
      expect(stream.isEnded()).toBe(false);
    },
  );

  test("an event id of another session is refused [B18] [F21] [I3]", async () => {
    await using backend = await startHttpLedger();
    await using gateway = await startGateway({ backends: [{ name: "b1", url: backend.url }] });
    const [alice, bob] = [await openRawSession(gateway.url), await openRawSession(gateway.url)];
    const stream = await openStream(gateway.url, alice);
    await waitFor(() => backend.notify("notifications/message", { level: "info", data: "a" }) > 0);
    await waitFor(() => messagesOf(stream).length === 1);

    const stolen = await openStream(gateway.url, bob, {
      lastEventId: stream.events.at(-1)?.id ?? "",
    });

    expect(stolen.status).toBe(400);
  });
});

test("clients of older revisions get no event without data", async () => {
  await using backend = await startHttpLedger();
  await using gateway = await startGateway({ backends: [{ name: "b1", url: backend.url }] });
  const session = await openRawSession(gateway.url, { revision: "2025-06-18" });
  const stream = await openStream(gateway.url, session);

  await waitFor(() => backend.notify("notifications/message", { level: "info", data: "a" }) === 1);

  await waitFor(() => stream.events.length > 0);
  expect(stream.events.every(({ data }) => data !== "")).toBe(true);
});
