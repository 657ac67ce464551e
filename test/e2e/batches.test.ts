import { describe, expect, test } from "vitest";
import { startGateway } from "../support/gateway.ts";
import { startHttpLedger } from "../support/ledger-backend.ts";
import { openRawSession, type RawAnswer } from "../support/raw-client.ts";

function call(id: number | string, name: string, args: object = {}, meta?: object): object {
  const params = { name, arguments: args, ...(meta && { _meta: meta }) };
  return { jsonrpc: "2.0", id, method: "tools/call", params };
}

function idsOf(answer: RawAnswer): readonly unknown[] {
  const messages: { id?: unknown }[] = JSON.parse(answer.text);
  return messages.map(({ id }) => id);
}

describe("in a session of 2025-03-26", () => {
  test("every message of a batch is served and all answers come as one array", async () => {
    await using backend = await startHttpLedger();
    await using gateway = await startGateway({ backends: [{ name: "b1", url: backend.url }] });
    const session = await openRawSession(gateway.url, { revision: "2025-03-26" });

    const answer = await session.post(
      JSON.stringify([
        call(1, "count"),
        { jsonrpc: "2.0", method: "notifications/initialized" },
        { jsonrpc: "2.0", id: "l", method: "tools/list" },
        call(2, "nope"),
        { jsonrpc: "2.0", id: 3 },
        call(4, "count"),
      ]),
    );

    expect(answer.status).toBe(200);
    // A message that is neither request nor answer has no id that could be trusted.
    expect(new Set(idsOf(answer))).toEqual(new Set([1, 2, 4, "l", undefined]));
    expect(JSON.parse(answer.text)).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ id: 2, error: expect.objectContaining({ code: -32_602 }) }),
        expect.objectContaining({ error: expect.objectContaining({ code: -32_600 }) }),
      ]),
    );
    expect(backend.ledger.calls).toHaveLength(2);
  });

  test("a batch without requests is accepted", async () => {
    await using backend = await startHttpLedger();
    await using gateway = await startGateway({ backends: [{ name: "b1", url: backend.url }] });
    const session = await openRawSession(gateway.url, { revision: "2025-03-26" });

    const answer = await session.post('[{"jsonrpc":"2.0","method":"notifications/initialized"}]');

    expect(answer.status).toBe(202);
    expect(answer.text).toBe("");
  });

  test("progress of one call makes the whole answer a stream, with nothing lost", async () => {
    await using backend = await startHttpLedger();
    await using gateway = await startGateway({ backends: [{ name: "b1", url: backend.url }] });
    const session = await openRawSession(gateway.url, { revision: "2025-03-26" });

    const answer = await session.post(
      JSON.stringify([
        call(1, "echo", { text: "at once" }),
        call(2, "slow", { ms: 60, steps: 2 }, { progressToken: "p" }),
      ]),
    );

    expect(answer.headers["content-type"]).toBe("text/event-stream");
    const messages: { id?: number; method?: string }[] = answer.text
      .split("\n")
      .filter((line) => line.startsWith("data: {"))
      .map((line) => JSON.parse(line.slice("data: ".length)));
    expect(messages.filter(({ method }) => method === "notifications/progress")).toHaveLength(2);
    expect(new Set(messages.flatMap(({ id }) => (id === undefined ? [] : [id])))).toEqual(
      new Set([1, 2]),
    );
  });

  test("more messages than a batch may hold are refused before any is served", async () => {
    await using backend = await startHttpLedger();
    await using gateway = await startGateway({ backends: [{ name: "b1", url: backend.url }] });
    const session = await openRawSession(gateway.url, { revision: "2025-03-26" });
    const batch = Array.from({ length: 101 }, (_value, index) => call(index, "count"));

    const answer = await session.post(JSON.stringify(batch));

    expect(answer.status).toBe(400);
    expect(backend.ledger.calls).toEqual([]);
  });

  test("a batch cannot open a session, or a second one", async () => {
    await using backend = await startHttpLedger();
    await using gateway = await startGateway({ backends: [{ name: "b1", url: backend.url }] });
    const session = await openRawSession(gateway.url, { revision: "2025-03-26" });
    const initialize = { jsonrpc: "2.0", id: 1, method: "initialize", params: {} };

    const answer = await session.post(JSON.stringify([initialize]));

    expect(JSON.parse(answer.text)).toMatchObject([{ id: 1, error: { code: -32_600 } }]);
    expect(gateway.vmcp.sessions.sessionCount).toBe(1);
  });
});

test.for(["2024-11-05", "2025-06-18", "2025-11-25"])(
  "a session of %s knows no batches",
  async (revision) => {
    await using backend = await startHttpLedger();
    await using gateway = await startGateway({ backends: [{ name: "b1", url: backend.url }] });
    const session = await openRawSession(gateway.url, { revision });

    const answer = await session.post(JSON.stringify([call(1, "count")]));

    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.text)).toMatchObject({ error: { code: -32_600 } });
    expect(backend.ledger.calls).toEqual([]);
  },
);
