import { isJsonObject, type JsonObject } from "../domain/json.ts";
import { EACH, spansAt, type JsonPath } from "./json-paths.ts";
import type { JsonRpcMessage } from "./json-rpc.ts";
import { spliceBytes, type Edit } from "./json-spans.ts";

/** Names in `_meta` the task that a message has to do with (MCP 2025-11-25, "Tasks"). */
const RELATED_TASK = "io.modelcontextprotocol/related-task";

const IN_META: JsonPath = ["_meta", RELATED_TASK, "taskId"];

const RELATED_IN_RESULT: JsonPath = ["result", ...IN_META];

const RELATED_IN_PARAMS: JsonPath = ["params", ...IN_META];

const IN_PARAMS: JsonPath = ["params", "taskId"];

/** The methods that name a task by `params.taskId`. */
export const TASK_METHODS: ReadonlySet<string> = new Set([
  "tasks/get",
  "tasks/result",
  "tasks/update",
  "tasks/cancel",
]);

/** The places in which a message names tasks. */
export type Places = readonly JsonPath[];

const RELATED_RESULT: Places = [RELATED_IN_RESULT];

const RELATED_PARAMS: Places = [RELATED_IN_PARAMS];

const STATUS_PARAMS: Places = [IN_PARAMS, RELATED_IN_PARAMS];

const RESULT_PLACES: ReadonlyMap<string, Places> = new Map([
  ["tools/call", [["result", "task", "taskId"], RELATED_IN_RESULT]],
  ["tasks/get", [["result", "taskId"], RELATED_IN_RESULT]],
  ["tasks/cancel", [["result", "taskId"], RELATED_IN_RESULT]],
  ["tasks/list", [["result", "tasks", EACH, "taskId"], RELATED_IN_RESULT]],
]);

/** In the stateless revision a result that is a task says so by its kind, and is itself the task. */
const TASK_RESULT: Places = [["result", "taskId"], RELATED_IN_RESULT];

/** Where the answer to a request of this method names tasks of the one who answers. */
export function placesInAnswer(method: string, result?: JsonObject): Places {
  if (result?.["resultType"] === "task") return TASK_RESULT;
  return RESULT_PLACES.get(method) ?? RELATED_RESULT;
}

/** Where a request or notification of a backend names its own tasks; `tasks/get` names one of the client's. */
export function placesInEvent(method: string | undefined): Places {
  return method === "notifications/tasks/status" ? STATUS_PARAMS : RELATED_PARAMS;
}

/** Where a message of a client names tasks of the backend that it goes to; an answer only in its `_meta`. */
export function placesTowardsBackend(method: string | undefined): Places {
  if (method === undefined) return RELATED_RESULT;
  return TASK_METHODS.has(method) ? STATUS_PARAMS : RELATED_PARAMS;
}

/** Whether anything stands in one of the places; says no after a glance at most messages. */
export function namesTasks(message: JsonRpcMessage, places: Places): boolean {
  for (const place of places) if (hasValueAt(message, place)) return true;
  return false;
}

/**
 * The message with the id in each place replaced by what `rename` makes of it, all other bytes untouched; the
 * same buffer where nothing changes. What is not a string is no id and stays.
 */
export function renameTasks(
  bytes: Buffer,
  places: Places,
  rename: (taskId: string) => string,
): Buffer {
  const edits: Edit[] = [];
  for (const { valueStart, valueEnd } of places.flatMap((place) => spansAt(bytes, place))) {
    const taskId: unknown = JSON.parse(bytes.toString("utf8", valueStart, valueEnd));
    if (typeof taskId !== "string") continue;
    const renamed = rename(taskId);
    if (renamed === taskId) continue;
    edits.push({ start: valueStart, end: valueEnd, replacement: JSON.stringify(renamed) });
  }
  return edits.length === 0 ? bytes : spliceBytes(bytes, edits);
}

function hasValueAt(message: unknown, place: JsonPath): boolean {
  let value = message;
  for (const key of place) {
    if (key === EACH) return Array.isArray(value);
    if (!isJsonObject(value)) return false;
    value = value[key];
  }
  return value !== undefined;
}
