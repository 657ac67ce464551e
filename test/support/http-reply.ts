import type { ServerResponse } from "node:http";
import type { ReplyChannel } from "./scripted-session.ts";

/**
 * Carries the answer to one POST. An event before the answer makes it an event stream, as does
 * `isAlwaysStream`; `onAnswer` runs right before the answer's first byte is written and may return further headers.
 */
export function httpReply(
  response: ServerResponse,
  isAlwaysStream: boolean,
  onAnswer: () => Readonly<Record<string, string>>,
): ReplyChannel {
  const stream = (text: string): void => {
    if (!response.headersSent) beginStream(response, {});
    writeEvent(response, text);
  };
  return {
    event: stream,
    answer(text) {
      const headers = onAnswer();
      if (!response.headersSent && isAlwaysStream) beginStream(response, headers);
      if (response.headersSent) {
        writeEvent(response, text);
        response.end();
        return;
      }
      response.writeHead(200, { ...headers, "content-type": "application/json" });
      response.end(text);
    },
    crash() {
      response.socket?.destroy();
    },
  };
}

export function beginStream(
  response: ServerResponse,
  headers: Readonly<Record<string, string>>,
): void {
  response.writeHead(200, {
    ...headers,
    "content-type": "text/event-stream",
    "cache-control": "no-cache",
  });
  response.flushHeaders();
}

export function writeEvent(response: ServerResponse, text: string): void {
  response.write(`event: message\ndata: ${text}\n\n`);
}
