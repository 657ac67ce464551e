import { expect, test } from "vitest";
import { inboundRequest } from "../../test/support/sessions.ts";
import type { AnswerSink, BackendMessage } from "../mcp/exchange.ts";
import { answerWithFault } from "./local-answer.ts";

function recordingSink(): { sink: AnswerSink; answers: BackendMessage[] } {
  const answers: BackendMessage[] = [];
  const sink: AnswerSink = {
    event: () => true,
    answer: (message) => void answers.push(message),
    fail() {},
  };
  return { sink, answers };
}

test("the answer is a result, of which the bytes say the same as the message", async () => {
  const { sink, answers } = recordingSink();

  answerWithFault(inboundRequest("call-1", "tools/call", {}), "it is wrong", sink);
  const early = answers.length;
  await Promise.resolve();

  expect(early).toBe(0);
  expect(answers).toHaveLength(1);
  expect(answers[0]?.message).toEqual({
    jsonrpc: "2.0",
    id: "call-1",
    result: { content: [{ type: "text", text: "it is wrong" }], isError: true },
  });
  expect(JSON.parse(String(answers[0]?.bytes))).toEqual(answers[0]?.message);
});

test("a call that was cancelled in between is not answered", async () => {
  const { sink, answers } = recordingSink();

  const exchange = answerWithFault(inboundRequest(1, "tools/call", {}), "it is wrong", sink);
  exchange.pause();
  exchange.resume();
  exchange.cancel("");
  await Promise.resolve();

  expect(answers).toEqual([]);
});
