import type { JsonObject } from "../../src/domain/json.ts";
import { startHttp, toolCall, type TestBackend } from "./protocol-backends.ts";

/** What a backend declares that has tasks for calls of tools. */
export const TASKS: JsonObject = { list: {}, cancel: {}, requests: { tools: { call: {} } } };

/** The key in `_meta` that names the task a message belongs to. */
export const RELATED = "io.modelcontextprotocol/related-task";

/** The `result` or `error` of an answer, or how it is made from the params of the request. */
export type TaskAnswer = JsonObject | ((params: JsonObject) => JsonObject);

/** A backend whose tool `work` becomes a task; `answers` are those to the methods that name it. */
export async function startTaskBackend(
  taskId: string,
  answers: ReadonlyMap<string, TaskAnswer> = new Map(),
): Promise<TestBackend & { readonly asked: JsonObject[] }> {
  const asked: JsonObject[] = [];
  const backend = await startHttp({
    capabilities: { tools: {}, tasks: TASKS, logging: {} },
    tools: [
      '{"name":"work","inputSchema":{"type":"object"},"execution":{"taskSupport":"optional"}}',
    ],
    results: new Map([["work", JSON.stringify({ task: taskOf(taskId, "working") })]]),
  });
  backend.backend.interceptWith((_request, body, response) => {
    const message = body.startsWith("{") ? JSON.parse(body) : {};
    const known = answers.get(message.method);
    if (known === undefined) return false;
    asked.push(message);
    const answer = typeof known === "function" ? known(message.params ?? {}) : known;
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ jsonrpc: "2.0", id: message.id, ...answer }));
    return true;
  });
  return { ...backend, asked };
}

export function taskOf(taskId: string, status: string): JsonObject {
  const at = "2025-11-25T10:30:00Z";
  return { taskId, status, createdAt: at, lastUpdatedAt: at, ttl: 60_000, pollInterval: 5_000 };
}

/** A call of a tool that is to become a task. */
export function workAsTask(id: number, name: string, progressToken?: string): JsonObject {
  const { params, ...call } = toolCall(id, name, {}, progressToken) as { params: JsonObject };
  return { ...call, params: { ...params, task: { ttl: 60_000 } } };
}
