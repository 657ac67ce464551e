import type { ServerResponse } from "node:http";
import { toRelayed } from "./hop-headers.ts";

const EVENT_STREAM = "text/event-stream";

/** Begins a response as the owner began its answer. `headers` are names and values in turn. */
export function beginAnswer(
  response: ServerResponse,
  status: number,
  headers: readonly string[],
): void {
  // The owner judged and said everything about this answer, for other sites too.
  for (const name of response.getHeaderNames()) response.removeHeader(name);
  response.sendDate = false;
  response.writeHead(status, toRelayed(headers));
  // Who waits for the first event has to see that there is a stream.
  if (headerOf(headers, "content-type")?.startsWith(EVENT_STREAM)) response.flushHeaders();
}

/** The first value of a header; `name` is in lower case. */
export function headerOf(headers: readonly string[], name: string): string | undefined {
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const candidate = headers[index];
    if (candidate === name || candidate?.toLowerCase() === name) return headers[index + 1];
  }
  return undefined;
}
