import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import type { JsonObject } from "../../src/domain/json.ts";

/**
 * Stands for the model of an agent, in the terms of three vendors: it calls one tool, then says that it is done.
 * Whatever is asked without that tool, such as for a title, is answered with the same words.
 */
export interface FakeModel extends AsyncDisposable {
  /** The origin; paths are those of the vendors. */
  readonly url: string;
  /** The bodies that brought the tool's answer. */
  readonly toolAnswers: readonly string[];
}

/** Agents put names of their own before the name of a tool: what counts is how it ends. */
export async function startFakeModel(nameEnding: string, args: JsonObject): Promise<FakeModel> {
  const toolAnswers: string[] = [];
  const offered = new RegExp(`"name":"(?<name>[\\w-]*${nameEnding})"`);
  const server = createServer((request, response) => {
    const answer = async (): Promise<void> => {
      const body = await text(request);
      const dialect = DIALECTS.find(({ path }) => path.test(request.url ?? ""));
      if (dialect === undefined) {
        response.writeHead(404).end();
        return;
      }
      const hasAnswer = body.includes(dialect.answerMark);
      if (hasAnswer) toolAnswers.push(body);
      const name = hasAnswer ? undefined : offered.exec(body)?.groups?.["name"];
      const events = name === undefined ? dialect.say("all done") : dialect.call(name, args);
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end(events.map((event) => toEvent(event)).join(""));
    };
    // An exchange that breaks breaks for the agent too: that is all there is to do.
    answer().catch(() => response.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // A server that listens on TCP has an address object.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    toolAnswers,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

/** The data of one event; its `type` is the event's name too, where it has one. */
type ModelEvent = JsonObject | string;

interface Dialect {
  readonly path: RegExp;
  /** Stands in a request that carries a tool's answer, and in no other. */
  readonly answerMark: string;
  say(words: string): readonly ModelEvent[];
  call(name: string, args: JsonObject): readonly ModelEvent[];
}

const ANTHROPIC: Dialect = {
  path: /\/v1\/messages(?:\?|$)/,
  answerMark: '"type":"tool_result"',
  say: (words) =>
    anthropicMessage({ type: "text", text: "" }, { type: "text_delta", text: words }, "end_turn"),
  call: (name, args) =>
    anthropicMessage(
      { type: "tool_use", id: "toolu_1", name, input: {} },
      { type: "input_json_delta", partial_json: JSON.stringify(args) },
      "tool_use",
    ),
};

const OPENAI: Dialect = {
  path: /\/chat\/completions$/,
  answerMark: '"role":"tool"',
  say: (words) => openaiMessage({ role: "assistant", content: words }, "stop"),
  call: (name, args) => {
    const called = { name, arguments: JSON.stringify(args) };
    const toolCall = { index: 0, id: "call_1", type: "function", function: called };
    return openaiMessage({ role: "assistant", tool_calls: [toolCall] }, "tool_calls");
  },
};

const GEMINI: Dialect = {
  path: /:streamGenerateContent\?/,
  answerMark: '"functionResponse"',
  say: (words) => geminiMessage({ text: words }),
  call: (name, args) => geminiMessage({ functionCall: { name, args } }),
};

const DIALECTS: readonly Dialect[] = [ANTHROPIC, OPENAI, GEMINI];

function anthropicMessage(
  block: JsonObject,
  delta: JsonObject,
  stopReason: string,
): readonly ModelEvent[] {
  const usage = { input_tokens: 1, output_tokens: 1 };
  const head = { id: "msg_1", type: "message", role: "assistant", model: "fake", content: [] };
  const stop = { stop_reason: stopReason, stop_sequence: null };
  return [
    {
      type: "message_start",
      message: { ...head, stop_reason: null, stop_sequence: null, usage },
    },
    { type: "content_block_start", index: 0, content_block: block },
    { type: "content_block_delta", index: 0, delta },
    { type: "content_block_stop", index: 0 },
    { type: "message_delta", delta: stop, usage: { output_tokens: 1 } },
    { type: "message_stop" },
  ];
}

function openaiMessage(delta: JsonObject, finishReason: string): readonly ModelEvent[] {
  const head = { id: "c1", object: "chat.completion.chunk", created: 1, model: "fake" };
  const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
  return [
    { ...head, choices: [{ index: 0, delta, finish_reason: null }] },
    { ...head, choices: [{ index: 0, delta: {}, finish_reason: finishReason }], usage },
    "[DONE]",
  ];
}

function geminiMessage(part: JsonObject): readonly ModelEvent[] {
  const content = { role: "model", parts: [part] };
  const usageMetadata = { promptTokenCount: 1, candidatesTokenCount: 1, totalTokenCount: 2 };
  return [{ candidates: [{ content, finishReason: "STOP", index: 0 }], usageMetadata }];
}

function toEvent(event: ModelEvent): string {
  if (typeof event === "string") return `data: ${event}\n\n`;
  const { type } = event;
  const name = typeof type === "string" ? `event: ${type}\n` : "";
  return `${name}data: ${JSON.stringify(event)}\n\n`;
}
