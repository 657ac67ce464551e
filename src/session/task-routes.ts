import type { BackendName } from "../domain/ids.ts";
import { isJsonObject, type JsonObject } from "../domain/json.ts";
import { LateMap } from "../lib/late-map.ts";
import type { BackendMessage } from "../mcp/exchange.ts";
import type { JsonRpcMessage, RequestId } from "../mcp/json-rpc.ts";
import { joined, type MessageBytes } from "../mcp/message-bytes.ts";
import {
  namesTasks,
  placesInAnswer,
  placesInEvent,
  placesTowardsBackend,
  renameTasks,
  type Places,
} from "../mcp/task-ids.ts";

/** Tasks of one backend that a session remembers; the oldest is forgotten first. */
const MAX_TASKS = 1_000;

/** Longer ids are not remembered, so that a thousand of them stay small: their tasks cannot be asked for. */
const MAX_ID_LENGTH = 1_024;

/** Stands between the id of a task and the name of its backend where another backend has that id too. */
const TAG_SEPARATOR = "~";

/** A task by its backend and the id that this backend gave it. */
interface TaskOwner {
  readonly backend: BackendName;
  readonly taskId: string;
  /** The backend's name of the tool whose call became the task; undefined for one that came up in another way. */
  toolName?: string | undefined;
}

/**
 * Which backend owns which task of one session, and under which id the client knows it.
 *
 * Ids are unique within one backend only. Whoever names an id first keeps it; another backend's task of the
 * same id is advertised with a tag, and goes back to that backend without it (MCP 2025-11-25, "Task ID
 * Requirements"). Tags are looked up, never taken apart, so that no backend can make up another's.
 */
export class TaskRoutes {
  /** By advertised id. */
  readonly #owners = new LateMap<string, TaskOwner>();
  /** By backend, then by the backend's own id: the advertised one. */
  readonly #advertised = new LateMap<BackendName, Map<string, string>>();
  /** Progress tokens of requests that became tasks: they stay good for as long as the task lasts. */
  readonly #tokens = new LateMap<RequestId, BackendName>();
  #hasTagged = false;

  /** The owner of the task that the client knows by this id. */
  find(advertisedId: string): Readonly<TaskOwner> | undefined {
    return this.#owners.get(advertisedId);
  }

  /** Whether a task of this backend reports its progress under this token. */
  hasToken(backend: BackendName, token: unknown): boolean {
    const isId = typeof token === "string" || typeof token === "number";
    return isId && this.#tokens.get(token) === backend;
  }

  /** Notes the token of a call whose result says that it became a task. */
  noteToken(backend: BackendName, result: JsonObject | undefined, token: RequestId): void {
    if (!isJsonObject(result?.["task"])) return;
    this.#tokens.delete(token);
    this.#tokens.set(token, backend);
    const [oldest] = this.#tokens.keys();
    if (this.#tokens.size > MAX_TASKS && oldest !== undefined) this.#tokens.delete(oldest);
  }

  /**
   * The answer of a backend to a request of this method as the client may see it; notes the tasks it names. A task that
   * a call has become belongs to the tool that was called.
   */
  answerForClient(
    backend: BackendName,
    method: string,
    answer: BackendMessage,
    toolName?: string,
  ): BackendMessage {
    const places = placesInAnswer(method, answer.message.result);
    return namesTasks(answer.message, places)
      ? this.#forClient(backend, answer, places, toolName)
      : answer;
  }

  /** A request or notification of a backend as the client may see it; notes the tasks it names. */
  eventForClient(backend: BackendName, event: BackendMessage): BackendMessage {
    const places = placesInEvent(event.message.method);
    return namesTasks(event.message, places) ? this.#forClient(backend, event, places) : event;
  }

  /** The bytes of the client's message as this backend knows its tasks; `method` is absent for an answer. */
  forBackend<Bytes extends MessageBytes>(
    backend: BackendName,
    bytes: Bytes,
    method: string | undefined,
  ): Bytes | Buffer {
    if (!this.#hasTagged) return bytes;
    return renameTasks(joined(bytes), placesTowardsBackend(method), (advertisedId) => {
      const owner = this.#owners.get(advertisedId);
      return owner?.backend === backend ? owner.taskId : advertisedId;
    });
  }

  #forClient(
    backend: BackendName,
    given: BackendMessage,
    places: Places,
    toolName?: string,
  ): BackendMessage {
    const bytes = renameTasks(given.bytes, places, (taskId) =>
      this.#advertise(backend, taskId, toolName),
    );
    return bytes === given.bytes ? given : { bytes, message: parseMessage(bytes) };
  }

  #advertise(backend: BackendName, taskId: string, toolName: string | undefined): string {
    if (taskId.length > MAX_ID_LENGTH) return taskId;
    const ids = this.#advertised.get(backend) ?? new Map<string, string>();
    this.#advertised.set(backend, ids);
    const known = ids.get(taskId);
    if (known !== undefined) {
      this.#noteTool(known, toolName);
      return known;
    }
    let id = taskId;
    while (this.#owners.has(id)) id = `${id}${TAG_SEPARATOR}${backend}`;
    if (id !== taskId) this.#hasTagged = true;
    ids.set(taskId, id);
    this.#owners.set(id, { backend, taskId, toolName });
    if (ids.size > MAX_TASKS) this.#forgetOldest(ids);
    return id;
  }

  /** A task may be heard of before the answer that says whose it is. */
  #noteTool(id: string, toolName: string | undefined): void {
    const owner = this.#owners.get(id);
    if (owner !== undefined) owner.toolName ??= toolName;
  }

  #forgetOldest(ids: Map<string, string>): void {
    for (const [taskId, id] of ids) {
      ids.delete(taskId);
      this.#owners.delete(id);
      return;
    }
  }
}

function parseMessage(bytes: Buffer): JsonRpcMessage {
  // The connection has already read these bytes as a message; only ids in it were replaced since.
  return JSON.parse(bytes.toString()) as JsonRpcMessage;
}
