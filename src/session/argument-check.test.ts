import { expect, test } from "vitest";
import { fakeBackend } from "../../test/support/fake-backends.ts";
import { inboundRequest, openSession } from "../../test/support/sessions.ts";
import type { JsonObject } from "../domain/json.ts";
import type { Route } from "../domain/routing-table.ts";
import type { AnswerSink, BackendMessage } from "../mcp/exchange.ts";
import type { InboundRequest } from "../mcp/inbound-message.ts";
import type { ArgumentCheck } from "./argument-check.ts";

interface Asked {
  readonly request: InboundRequest;
  readonly route: Route;
  readonly definition: JsonObject | undefined;
}

/** Refuses everything with this text, or nothing. */
function recordingCheck(fault?: string): { check: ArgumentCheck; asked: Asked[] } {
  const asked: Asked[] = [];
  const check: ArgumentCheck = {
    faultOf(request, route, tools) {
      asked.push({ request, route, definition: tools.toolOf(route) });
      return fault;
    },
  };
  return { check, asked };
}

function answered(): { sink: AnswerSink; answer: Promise<BackendMessage> } {
  let sink: AnswerSink | undefined;
  const answer = new Promise<BackendMessage>((resolve, reject) => {
    sink = { event: () => true, answer: resolve, fail: reject };
  });
  if (sink === undefined) throw new Error("a promise runs its function at once");
  return { sink, answer };
}

test("a call of a tool is asked about with its route and with what its backend lists", async () => {
  const backend = fakeBackend("b", { tools: ["run"], prompts: ["greet"] });
  const { check, asked } = recordingCheck();
  await using session = await openSession([backend], { argumentCheck: check });
  const request = inboundRequest(1, "tools/call", { name: "run", arguments: { a: 1 } });

  const call = answered();
  session.forward(request, call.sink);
  await call.answer;
  const prompt = answered();
  session.forward(inboundRequest(2, "prompts/get", { name: "greet" }), prompt.sink);
  await prompt.answer;

  expect(asked).toEqual([
    {
      request,
      route: expect.objectContaining({ kind: "tool", backend: "b", originalName: "run" }),
      definition: expect.objectContaining({ name: "run", inputSchema: expect.any(Object) }),
    },
  ]);
  expect(backend.connections[0]?.received).toHaveLength(2);
});

test("a call that is refused goes nowhere, and takes no place and no id", async () => {
  const backend = fakeBackend("b", { tools: ["run"] });
  const { check } = recordingCheck("it does not fit");
  await using session = await openSession([backend], {
    argumentCheck: check,
    maxCallsInFlight: 1,
    callLimits: { callsPerProcess: 1, callsPerBackend: () => 1 },
  });
  const request = inboundRequest(1, "tools/call", { name: "run" });

  const calls = [answered(), answered(), answered()];
  for (const { sink } of calls) session.forward(request, sink);
  const answers = await Promise.all(calls.map(async ({ answer }) => answer));

  for (const { message } of answers) {
    expect(message).toMatchObject({ id: 1, result: { isError: true } });
  }
  expect(session.isBusy).toBe(false);
  expect(backend.connections[0]?.received).toEqual([]);
});
