import type { AnswerSink, Exchange } from "../mcp/exchange.ts";
import type { InboundRequest } from "../mcp/inbound-message.ts";
import { encodeResult } from "../mcp/json-rpc.ts";

/**
 * Answers the call of a tool in place of its backend: with a result that says what is wrong, so that the model that
 * made the call reads it. The answer comes once `forward` has returned, unless the call is cancelled before.
 */
export function answerWithFault(
  { id, idJson }: InboundRequest,
  text: string,
  sink: AnswerSink,
): Exchange {
  const result = { content: [{ type: "text", text }], isError: true };
  const bytes = encodeResult(idJson, JSON.stringify(result));
  let isOver = false;
  queueMicrotask(() => {
    if (!isOver) sink.answer({ bytes, message: { jsonrpc: "2.0", id, result } });
  });
  return {
    cancel() {
      isOver = true;
    },
    pause() {},
    resume() {},
  };
}
