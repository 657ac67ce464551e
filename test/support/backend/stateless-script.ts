import type { ServerResponse } from "node:http";
import type { AnswerSink, BackendMessage, OutboundRequest } from "../../../src/mcp/exchange.ts";
import type { BackendConnection } from "../../../src/backend/ports.ts";
import type { VmcpError } from "../../../src/domain/errors.ts";
import type { JsonObject } from "../../../src/domain/json.ts";
import { resultFor, sendJson, type Reply, type Seen } from "./http-backend.ts";

/** Answers `server/discover` as a backend of the stateless revision does. */
export function discovered(more: JsonObject = {}): Reply {
  return (response, seen) => {
    const result = {
      resultType: "complete",
      supportedVersions: ["2026-07-28"],
      capabilities: { tools: { listChanged: true } },
      ttlMs: 0,
      cacheScope: "private",
      ...more,
    };
    sendJson(response, resultFor(seen, result));
  };
}

export function sendError(
  response: ServerResponse,
  seen: Seen,
  status: number,
  error: JsonObject,
): void {
  sendJson(response, { jsonrpc: "2.0", id: seen.message["id"], error }, status);
}

export interface Outcome {
  readonly events: readonly BackendMessage[];
  readonly answer?: BackendMessage;
  readonly error?: VmcpError;
}

/** Sends a request over a connection and resolves with everything that came of it. */
export async function outcomeOf(
  connection: BackendConnection,
  request: OutboundRequest,
  onEvent: (event: BackendMessage) => void = () => {},
): Promise<Outcome> {
  const events: BackendMessage[] = [];
  return new Promise((resolve) => {
    const sink: AnswerSink = {
      event(event) {
        events.push(event);
        onEvent(event);
        return true;
      },
      answer: (answer) => resolve({ events, answer }),
      fail: (error) => resolve({ events, error }),
    };
    connection.forward(request, sink);
  });
}

export function requestOf(
  id: number | string,
  method: string,
  params: JsonObject = {},
): OutboundRequest {
  return { id, method, bytes: Buffer.from(JSON.stringify({ jsonrpc: "2.0", id, method, params })) };
}
