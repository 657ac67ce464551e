import { isJsonObject, type JsonObject } from "../domain/json.ts";
import { encodeNotification } from "../mcp/json-rpc.ts";
import type { BackendConnection } from "./backend-connection.ts";

/**
 * Tells a connection that took the place of a lost one to ask for the client's roots. Only clients that
 * declared `roots.listChanged` may send that, and the gateway keeps no roots that it could give itself.
 */
export function renewRoots(connection: BackendConnection, clientCapabilities: JsonObject): void {
  const { roots } = clientCapabilities;
  if (!isJsonObject(roots) || roots["listChanged"] !== true) return;
  // A backend that can no longer be told will be replaced once more.
  connection.send(encodeNotification("notifications/roots/list_changed")).catch(() => {});
}
