import type { JsonObject } from "../domain/json.ts";
import type { Logger } from "../domain/logger.ts";
import type { InboundNotification } from "../mcp/inbound-message.ts";
import type { RequestId } from "../mcp/json-rpc.ts";
import type { BackendConnection } from "./backend-connection.ts";
import type { BackendLink } from "./backend-link.ts";
import type { Call } from "./call.ts";
import { reasonIn } from "./cancel-reason.ts";
import type { ClientRequests } from "./client-requests.ts";
import type { Outbox } from "./outbox.ts";
import type { TaskRoutes } from "./task-routes.ts";

/** The session whose client speaks. */
export interface NotifiedSession {
  readonly outbox: Outbox;
  readonly clientRequests: ClientRequests;
  readonly routes: { readonly tasks: TaskRoutes };
  readonly links: { values(): Iterable<BackendLink> };
  readonly inFlight: { get(id: RequestId): Call | undefined };
  readonly logger: Logger;
}

/** Decides what becomes of a client's notification: which backends hear of it, if any. */
export function takeNotification(session: NotifiedSession, given: InboundNotification): void {
  const { method, params, bytes } = given;
  switch (method) {
    case "notifications/initialized":
      session.outbox.markInitialized();
      return;
    case "notifications/cancelled":
      cancelCall(session, params);
      return;
    case "notifications/progress":
      passProgress(session, given);
      return;
    case "notifications/roots/list_changed":
      for (const { connection } of session.links.values()) {
        if (connection !== undefined) tell(connection, bytes);
      }
      return;
    default:
      session.logger.debug("notification of a client ends here");
  }
}

function passProgress(
  { clientRequests, routes }: NotifiedSession,
  { method, params, bytes }: InboundNotification,
): void {
  for (const connection of clientRequests.connectionsWithToken(params?.["progressToken"])) {
    tell(connection, routes.tasks.forBackend(connection.backend, bytes, method));
  }
}

function cancelCall({ inFlight, logger }: NotifiedSession, params: JsonObject | undefined): void {
  const requestId = params?.["requestId"];
  if (typeof requestId !== "string" && typeof requestId !== "number") return;
  const call = inFlight.get(requestId);
  if (call === undefined) return;
  logger.debug("a client cancelled a call", { backend: call.link.name, reason: reasonIn(params) });
  const reason = params?.["reason"];
  call.cancelByClient(typeof reason === "string" ? reason : "");
}

/** A backend that can no longer be told has already ended its side. */
function tell(connection: BackendConnection, bytes: Buffer): void {
  connection.send(bytes).catch(() => {});
}
