import type { IncomingMessage } from "node:http";
import { VmcpError } from "../domain/errors.ts";

const JSON_TYPE = "application/json";
const EVENT_STREAM_TYPE = "text/event-stream";

/** Throws `unsupported_media_type` unless the body is JSON in UTF-8 and not encoded. */
export function requireJsonBody({ headers }: IncomingMessage): void {
  const type = headers["content-type"];
  if (type !== JSON_TYPE && !isJsonType(type)) {
    throw new VmcpError(
      "unsupported_media_type",
      `The Content-Type must be ${JSON_TYPE}, in UTF-8`,
    );
  }
  const encoding = headers["content-encoding"];
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
    throw new VmcpError("unsupported_media_type", "Encoded request bodies are not supported");
  }
}

/** A POST is answered as JSON or as a stream, so its client accepts both (MCP transports, "Sending Messages"). */
export function requireAcceptsBoth({ headers }: IncomingMessage): void {
  const { accept } = headers;
  if (accepts(accept, JSON_TYPE) && accepts(accept, EVENT_STREAM_TYPE)) return;
  throw new VmcpError(
    "not_acceptable",
    `The Accept header must list both ${JSON_TYPE} and ${EVENT_STREAM_TYPE}`,
  );
}

/**
 * Throws `not_acceptable` unless the client reads event streams, which any answer may have to be. One that reads nothing
 * else is served too, with answers that are streams of one event.
 */
export function requireAcceptsAnswer(request: IncomingMessage): void {
  if (!accepts(request.headers.accept, EVENT_STREAM_TYPE)) requireAcceptsBoth(request);
}

/** Whether the client can read an event stream and no JSON. */
export function readsEventsOnly({ headers }: IncomingMessage): boolean {
  return !accepts(headers.accept, JSON_TYPE) && accepts(headers.accept, EVENT_STREAM_TYPE);
}

/** Throws `not_acceptable` unless the client can read an event stream. */
export function requireAcceptsEvents({ headers }: IncomingMessage): void {
  if (accepts(headers.accept, EVENT_STREAM_TYPE)) return;
  throw new VmcpError("not_acceptable", `The Accept header must list ${EVENT_STREAM_TYPE}`);
}

function accepts(accept: string | undefined, type: string): boolean {
  if (accept === undefined) return false;
  if (accept.includes(type)) return true;
  const ranges = accept.toLowerCase();
  return (
    ranges.includes(type) ||
    ranges.includes("*/*") ||
    ranges.includes(`${type.slice(0, type.indexOf("/"))}/*`)
  );
}

function isJsonType(header: string | undefined): boolean {
  const [type = "", ...parameters] = (header ?? "").toLowerCase().split(";");
  if (type.trim() !== JSON_TYPE) return false;
  return parameters.every((parameter) => {
    const [name = "", value = ""] = parameter.split("=");
    return name.trim() !== "charset" || /^"?utf-?8"?$/.test(value.trim());
  });
}
