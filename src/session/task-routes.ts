import type { BackendName } from "../domain/ids.ts";
import { isJsonObject, type JsonObject } from "../domain/json.ts";
import type { RequestId } from "../mcp/json-rpc.ts";

/** Tasks whose backend a session remembers; the oldest is forgotten first. */
const MAX_TASKS = 1_000;

/** The methods that name a task by `params.taskId` (MCP 2025-11-25, "Tasks"). */
export const TASK_METHODS: ReadonlySet<string> = new Set([
  "tasks/get",
  "tasks/result",
  "tasks/cancel",
]);

/**
 * Which backend owns which task of one session.
 *
 * A task id is made by its backend and passes through unchanged; ids are unguessable, so that two backends
 * never use one. Should they, the first keeps it.
 */
export class TaskRoutes {
  readonly #owners = new Map<string, BackendName>();
  /** Progress tokens of requests that became tasks: they stay good for as long as the task lasts. */
  readonly #tokens = new Map<RequestId, BackendName>();

  ownerOf(taskId: string): BackendName | undefined {
    return this.#owners.get(taskId);
  }

  /** Whether a task of this backend reports its progress under this token. */
  hasToken(backend: BackendName, token: unknown): boolean {
    const isId = typeof token === "string" || typeof token === "number";
    return isId && this.#tokens.get(token) === backend;
  }

  /** Notes the task that a result says was created. */
  noteResult(backend: BackendName, result: JsonObject | undefined, token?: RequestId): void {
    const task = result?.["task"];
    if (!isJsonObject(task)) return;
    this.#note(backend, task["taskId"]);
    if (token === undefined) return;
    this.#tokens.delete(token);
    this.#tokens.set(token, backend);
    dropOldest(this.#tokens);
  }

  /** Notes the tasks that a backend lists. */
  noteList(backend: BackendName, result: JsonObject | undefined): void {
    const tasks = result?.["tasks"];
    if (!Array.isArray(tasks)) return;
    for (const task of tasks) if (isJsonObject(task)) this.#note(backend, task["taskId"]);
  }

  #note(backend: BackendName, taskId: unknown): void {
    if (typeof taskId !== "string" || this.#owners.has(taskId)) return;
    this.#owners.set(taskId, backend);
    dropOldest(this.#owners);
  }
}

function dropOldest<Key>(map: Map<Key, BackendName>): void {
  const [oldest] = map.keys();
  if (map.size > MAX_TASKS && oldest !== undefined) map.delete(oldest);
}
