import { VmcpError } from "../domain/errors.ts";
import type { JsonObject, JsonValue } from "../domain/json.ts";
import { encodeRequest, OWN_ID_PREFIX } from "../mcp/json-rpc.ts";
import type { BackendConnection } from "./backend-connection.ts";

/** Pages read of one backend's tasks; a backend that never ends its list is cut here. */
const MAX_PAGES = 100;

/** Whether a backend said that it can list its tasks (MCP 2025-11-25, "Tasks", "Capability Negotiation"). */
export function canListTasks({ greeting }: BackendConnection): boolean {
  const tasks = greeting.capabilities["tasks"];
  return typeof tasks === "object" && tasks !== null && "list" in tasks;
}

/**
 * The tasks of one backend, all pages, as it lists them. Rejects with the backend's failure, or with
 * `backend_error` where it refuses.
 */
export async function listTasks(connection: BackendConnection): Promise<readonly JsonValue[]> {
  const tasks: JsonValue[] = [];
  let cursor: JsonValue | undefined;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const id = `${OWN_ID_PREFIX}tasks:${page}`;
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
