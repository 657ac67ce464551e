import { randomUUID } from "node:crypto";
import { VmcpError } from "../domain/errors.ts";
import type { BackendName } from "../domain/ids.ts";
import type { JsonObject, JsonValue } from "../domain/json.ts";
import { ENDED_EXCHANGE, type AnswerSink, type Exchange } from "../mcp/exchange.ts";
import type { InboundRequest } from "../mcp/inbound-message.ts";
import { encodeRequest, encodeResult, OWN_ID_PREFIX } from "../mcp/json-rpc.ts";
import type { BackendConnection } from "./backend-connection.ts";

/** Pages read of one backend's tasks; a backend that never ends its list is cut here. */
const MAX_PAGES = 100;

/** Whether a backend said that it can list its tasks (MCP 2025-11-25, "Tasks", "Capability Negotiation"). */
export function canListTasks({ greeting }: BackendConnection): boolean {
  const tasks = greeting.capabilities["tasks"];
  return typeof tasks === "object" && tasks !== null && "list" in tasks;
}

/**
 * Answers `tasks/list` with the tasks of several backends as one list. A backend that fails to list its own is
 * left out. Throws `invalid_params` for a cursor, because that list is one page.
 */
export function mergeTaskLists(
  connections: readonly BackendConnection[],
  { idJson, params }: InboundRequest,
  sink: AnswerSink,
  note: (backend: BackendName, result: JsonObject) => void,
): Exchange {
  if (params?.["cursor"] !== undefined) {
    throw new VmcpError("invalid_params", "The list of tasks is one page and has no cursor");
  }
  void answerWithAll(connections, idJson, sink, note);
  return ENDED_EXCHANGE;
}

async function answerWithAll(
  connections: readonly BackendConnection[],
  idJson: string,
  sink: AnswerSink,
  note: (backend: BackendName, result: JsonObject) => void,
): Promise<void> {
  const lists = await Promise.allSettled(
    connections.map(async (connection) => {
      const tasks = await listTasks(connection);
      note(connection.backend, { tasks });
      return tasks;
    }),
  );
  const tasks = lists.flatMap((list) => (list.status === "fulfilled" ? list.value : []));
  const bytes = encodeResult(idJson, JSON.stringify({ tasks }));
  sink.answer({ bytes, message: { jsonrpc: "2.0", result: { tasks } } });
}

/** All pages, as the backend lists them. Rejects with its failure, or `backend_error` where it refuses. */
async function listTasks(connection: BackendConnection): Promise<readonly JsonValue[]> {
  const tasks: JsonValue[] = [];
  let cursor: JsonValue | undefined;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    // Two lists may be under way at once, and no id may be used twice in a session.
    const id = `${OWN_ID_PREFIX}tasks:${randomUUID()}`;
    const params: JsonObject = cursor === undefined ? {} : { cursor };
    // Each page names the next one.
    // oxlint-disable-next-line no-await-in-loop
    const result = await ask(connection, id, params);
    if (Array.isArray(result["tasks"])) tasks.push(...result["tasks"]);
    cursor = result["nextCursor"];
    if (cursor === undefined) break;
  }
  return tasks;
}

async function ask(
  connection: BackendConnection,
  id: string,
  params: JsonObject,
): Promise<JsonObject> {
  return new Promise((resolve, reject) => {
    connection.forward(
      { id, method: "tasks/list", bytes: encodeRequest(id, "tasks/list", params) },
      {
        event: () => true,
        answer: ({ message }) => {
          if (message.result !== undefined) resolve(message.result);
          else reject(new VmcpError("backend_error", message.error?.message ?? "refused"));
        },
        fail: reject,
      },
    );
  });
}
