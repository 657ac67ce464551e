import type { JsonObject } from "../domain/json.ts";
import { VmcpError } from "../domain/errors.ts";
import { serveRequest } from "../gateway/virtual-server.ts";
import type { BackendMessage } from "../mcp/exchange.ts";
import type { InboundRequest } from "../mcp/inbound-message.ts";
import type { JsonRpcError, JsonRpcMessage } from "../mcp/json-rpc.ts";
import { toJsonRpcError } from "../mcp/wire-errors.ts";
import type { EdgeSession } from "../session/edge-session.ts";

/** What the SDK's server turns into a JSON-RPC error: it reads these three members of anything thrown. */
class AnsweredError extends Error {
  override readonly name = "AnsweredError";
  readonly code: number;
  readonly data: unknown;

  constructor({ code, message, data }: JsonRpcError) {
    super(message);
    this.code = code;
    this.data = data;
  }
}

/**
 * Serves one request of a client and resolves with its result as the backend sent it. What the backend sends
 * before goes to `onEvent`. Rejects with what the SDK's server writes as a JSON-RPC error.
 *
 * A signal that aborts cancels the call at the backend; the rejection then reaches nobody.
 */
export async function relayCall(
  session: EdgeSession,
  request: InboundRequest,
  signal: AbortSignal,
  onEvent: (message: JsonRpcMessage) => void,
): Promise<JsonObject> {
  let onAbort: (() => void) | undefined;
  try {
    signal.throwIfAborted();
    return await new Promise<JsonObject>((resolve, reject) => {
      const reply = serveRequest(session, request, {
        // The SDK's streams hold what their reader is too slow for and cannot ask for a pause.
        event: ({ message }) => {
          onEvent(message);
          return true;
        },
        answer: (answer) => settle(answer, resolve, reject),
        fail: reject,
      });
      if (reply.kind === "answer") {
        resolve(resultIn(reply.bytes));
        return;
      }
      onAbort = () => {
        reply.exchange.cancel(reasonOf(signal));
        reject(new VmcpError("cancelled", "The client does not wait for the answer any more"));
      };
      signal.addEventListener("abort", onAbort, { once: true });
    });
  } catch (error) {
    throw error instanceof AnsweredError ? error : new AnsweredError(toJsonRpcError(error));
  } finally {
    if (onAbort !== undefined) signal.removeEventListener("abort", onAbort);
  }
}

/** The client's own words where it cancelled. */
function reasonOf({ reason }: AbortSignal): string {
  return typeof reason === "string" ? reason : "The client disconnected";
}

function settle(
  { message: { result, error } }: BackendMessage,
  resolve: (result: JsonObject) => void,
  reject: (error: Error) => void,
): void {
  if (result !== undefined) resolve(result);
  else if (error !== undefined) reject(new AnsweredError(error));
  else reject(new VmcpError("backend_protocol", "The backend's answer has no result"));
}

function resultIn(answer: Buffer): JsonObject {
  // The gateway's own answers hold a result.
  return (JSON.parse(answer.toString()) as { readonly result: JsonObject }).result;
}
