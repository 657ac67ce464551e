import { expect, test } from "vitest";
import { parseBackendName } from "../domain/ids.ts";
import { SILENT_LOGGER } from "../domain/logger.ts";
import type { RequestId } from "../mcp/json-rpc.ts";
import { createAsk } from "./ask.ts";
import { Connection } from "./connection.ts";
import { toSettings } from "./options.ts";
import type { Channel } from "./ports.ts";

const SETTINGS = toSettings({
  name: parseBackendName("b"),
  transport: "stdio",
  command: "unused",
  logger: SILENT_LOGGER,
});

const GREETING = { revision: "2025-11-25", capabilities: {}, serverInfo: {}, instructions: "" };

/** Answers everything with an empty result. */
function recordingChannel(ids: RequestId[]): Channel {
  return {
    backendSessionId: undefined,
    forward({ id }, sink) {
      ids.push(id);
      const message = { jsonrpc: "2.0", id, result: {} } as const;
      queueMicrotask(() => sink.answer({ bytes: Buffer.from(JSON.stringify(message)), message }));
      return { cancel() {}, pause() {}, resume() {} };
    },
    async send() {},
    openNotifications() {},
    agree() {},
    async [Symbol.asyncDispose]() {},
  };
}

test("no id comes twice among the questions of one session, the greeting included", async () => {
  const ids: RequestId[] = [];
  const channel = recordingChannel(ids);
  const { signal } = new AbortController();
  await createAsk(channel, () => {})({ method: "initialize" }, signal);
  const connection = new Connection(channel, { unsolicited() {} }, GREETING, SETTINGS);

  await connection.ask("ping", signal);
  await connection.ask("ping", signal);

  expect(ids).toHaveLength(3);
  expect(new Set(ids).size).toBe(3);
});
