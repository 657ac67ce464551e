import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { VmcpError, type VmcpErrorCode } from "../domain/errors.ts";
import { encodeError } from "../mcp/json-rpc.ts";
import { toJsonRpcError } from "../mcp/wire-errors.ts";

/** The status of what is refused before the SDK sees it; clients read the body of anything else. */
const REFUSAL_STATUS: ReadonlyMap<VmcpErrorCode, number> = new Map([
  ["parse_error", 400],
  ["invalid_request", 400],
  ["invalid_params", 400],
  ["session_required", 400],
  ["forbidden_host", 403],
  ["session_not_found", 404],
  ["session_terminated", 404],
  ["method_not_allowed", 405],
  ["not_acceptable", 406],
  ["stream_conflict", 409],
  ["payload_too_large", 413],
  ["unsupported_media_type", 415],
  ["shutting_down", 503],
  ["store_unavailable", 503],
  ["too_many_sessions", 503],
  ["start_failed", 503],
]);

const INTERNAL_STATUS = 500;

/** Reads a request's body whole. Rejects with `payload_too_large`, and with what cut the connection. */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  // What is left unread must not take the connection down before the refusal has left.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    // A stream of bytes without an encoding gives buffers.
    const bytes = chunk as Buffer;
    size += bytes.length;
    if (size > maxBytes) {
      throw new VmcpError("payload_too_large", `The request is larger than ${maxBytes} bytes`);
    }
    chunks.push(bytes);
  }
  return Buffer.concat(chunks, size);
}

/** The head of a request as the SDK's transport wants it. The body goes beside it, already parsed. */
export function toWebRequest({ method, headers }: IncomingMessage): Request {
  const entries = Object.entries(headers).flatMap(([name, value = []]): [string, string][] =>
    [value].flat().map((text) => [name, text]),
  );
  // The transport looks at the method and the headers only.
  return new Request("http://localhost/", { method: method ?? "GET", headers: entries });
}

/** Writes what the SDK's transport answered. Resolves with false if the client went away before the end. */
export async function writeReply(reply: Response, response: ServerResponse): Promise<boolean> {
  response.writeHead(reply.status, Object.fromEntries(reply.headers));
  if (reply.body === null) {
    response.end();
    return true;
  }
  // A stream may be silent for long, and its client waits for the head.
  response.flushHeaders();
  try {
    await pipeline(Readable.fromWeb(reply.body), response);
    return true;
  } catch {
    return false;
  }
}

/** Answers what is refused here, in the words of the gateway's own edge. Does nothing once a head has left. */
export function writeRefusal(response: ServerResponse, thrown: unknown, idJson?: string): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const error = VmcpError.from(thrown);
  const status = REFUSAL_STATUS.get(error.code) ?? INTERNAL_STATUS;
  const body = encodeError(idJson, toJsonRpcError(error));
  if (error.retryAfterSeconds !== undefined) {
    response.setHeader("retry-after", String(error.retryAfterSeconds));
  }
  if (error.code === "method_not_allowed") response.setHeader("allow", "GET, POST, DELETE");
  if (error.code === "payload_too_large") response.shouldKeepAlive = false;
  response
    .writeHead(status, { "content-type": "application/json", "content-length": body.length })
    .end(body);
}
