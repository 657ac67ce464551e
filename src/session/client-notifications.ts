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

export interface ClientNotificationsOptions {
  readonly outbox: Outbox;
  readonly clientRequests: ClientRequests;
  readonly tasks: TaskRoutes;
  readonly links: () => Iterable<BackendLink>;
  readonly callOf: (id: RequestId) => Call | undefined;
  readonly logger: Logger;
}

/** Decides what becomes of a client's notification: which backends hear of it, if any. */
export class ClientNotifications {
  readonly #options: ClientNotificationsOptions;

  constructor(options: ClientNotificationsOptions) {
    this.#options = options;
  }

  take({ method, params, bytes }: InboundNotification): void {
    const { outbox, clientRequests, tasks, links, logger } = this.#options;
    switch (method) {
      case "notifications/initialized":
        outbox.markInitialized();
        return;
      case "notifications/cancelled":
        this.#cancel(params);
        return;
      case "notifications/progress":
        for (const connection of clientRequests.connectionsWithToken(params?.["progressToken"])) {
          tell(connection, tasks.forBackend(connection.backend, bytes, method));
        }
        return;
      case "notifications/roots/list_changed":
        for (const { connection } of links()) if (connection !== undefined) tell(connection, bytes);
        return;
      default:
        logger.debug("notification of a client ends here");
    }
  }

  #cancel(params: JsonObject | undefined): void {
    const requestId = params?.["requestId"];
    if (typeof requestId !== "string" && typeof requestId !== "number") return;
    const call = this.#options.callOf(requestId);
    if (call === undefined) return;
    this.#options.logger.debug("a client cancelled a call", {
      backend: call.link.name,
      reason: reasonIn(params),
    });
    const reason = params?.["reason"];
    call.cancelByClient(typeof reason === "string" ? reason : "");
  }
}

/** A backend that can no longer be told has already ended its side. */
function tell(connection: BackendConnection, bytes: Buffer): void {
  connection.send(bytes).catch(() => {});
}
