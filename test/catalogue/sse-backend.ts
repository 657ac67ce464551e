import type { ServerResponse } from "node:http";
import { z } from "zod";
import { isJsonObject, type JsonObject } from "../../src/domain/json.ts";
import { startSseBackend, type SseBackend, type SsePost } from "../support/backend/sse-backend.ts";
import type { Behaviour } from "./entry.ts";
import type { RigBackend } from "./rig-backend.ts";
import { RESULT, toolEntry } from "./rig-tools.ts";
import { textOf } from "./text-of.ts";

/** A step of a backend over HTTP+SSE: what it puts on its stream, as it stands. */
const SseStep = z.union([
  z.strictObject({ sse: z.array(z.string()) }),
  z.strictObject({ execute: z.literal(true) }),
  z.strictObject({ hang: z.literal(true) }),
]);

/** Starts a backend of the transport of 2024-11-05 that behaves. */
export async function startSseRig(
  name: string,
  behaviour: Behaviour,
  configuration: JsonObject,
): Promise<RigBackend> {
  const executed: string[] = [];
  const steps = z.array(SseStep).parse(behaviour.do);
  const onCall = (post: SsePost): void => {
    post.accept();
    executed.push(nonceOf(post));
    post.answer(resultOf());
  };
  const misbehave = (post: SsePost): void => {
    post.accept();
    for (const step of steps) if ("sse" in step) writeAll(post.stream, step.sse);
    if (steps.some((step) => "hang" in step)) return;
    executed.push(nonceOf(post));
    post.answer(resultOf());
  };
  const isOpening = behaviour.on === "initialize";
  const backend = await startSseBackend({
    capabilities: { tools: {} },
    on: {
      "tools/list": (post) => {
        post.accept();
        const tool: unknown = JSON.parse(toolEntry("echo"));
        post.answer({ tools: [tool] });
      },
      "tools/call": onCall,
      ...(!isOpening && { [behaviour.on]: misbehave }),
    },
    ...(isOpening && { get: (response) => openWith(response, steps) }),
  });
  return toRigBackend(name, backend, executed, configuration);
}

function toRigBackend(
  name: string,
  backend: SseBackend,
  executed: readonly string[],
  configuration: JsonObject,
): RigBackend {
  return {
    configuration: { name, url: backend.url, transport: "sse", ...configuration },
    executions: () => executed,
    cancellations: () => backend.of("notifications/cancelled").length,
    openSessions: () => backend.streams.size,
    received: () =>
      backend.seen.map(({ headers, text }) => JSON.stringify(headers) + text).join("\n"),
    headerNames: () => new Set(backend.seen.flatMap(({ headers }) => Object.keys(headers))),
    arm: async () => {},
    [Symbol.asyncDispose]: async () => backend[Symbol.asyncDispose](),
  };
}

/** The stream begins with what the steps say and not with an address of ours. */
function openWith(response: ServerResponse, steps: readonly z.output<typeof SseStep>[]): void {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.flushHeaders();
  for (const step of steps) if ("sse" in step) writeAll(response, step.sse);
}

function writeAll(stream: ServerResponse, texts: readonly string[]): void {
  for (const text of texts) stream.write(text);
}

function nonceOf({ seen }: SsePost): string {
  const params = seen.message["params"];
  const args = isJsonObject(params) ? params["arguments"] : undefined;
  return isJsonObject(args) ? textOf(args["nonce"]) : "";
}

function resultOf(): object {
  const result: unknown = JSON.parse(RESULT);
  return isJsonObject(result) ? result : {};
}
