import type { BackendName } from "../domain/ids.ts";
import type { BackendMessage } from "../mcp/exchange.ts";
import type { BackendConnection } from "./backend-connection.ts";
import type { BackendLink } from "./backend-link.ts";
import type { Call } from "./call.ts";
import type { ClientRequests } from "./client-requests.ts";
import { isBelowLevel } from "./log-levels.ts";
import type { Outbox } from "./outbox.ts";
import type { SessionRoutes } from "./session-routes.ts";
import type { ListName } from "./view.ts";

/** The notification that says so when a list has changed. Templates have none of their own. */
export const LIST_CHANGED: Readonly<Record<ListName, string>> = {
  tools: "notifications/tools/list_changed",
  prompts: "notifications/prompts/list_changed",
  resources: "notifications/resources/list_changed",
  resourceTemplates: "notifications/resources/list_changed",
};

const LIST_CHANGED_METHODS: ReadonlySet<string> = new Set(Object.values(LIST_CHANGED));

export interface BackendMessagesOptions {
  readonly clientRequests: ClientRequests;
  readonly outbox: Outbox;
  readonly routes: SessionRoutes;
  /** The calls in flight on a link, oldest first. */
  readonly callsOn: (link: BackendLink) => readonly Call[];
  /** The level that the client set, if it set one. */
  readonly logLevel: () => string | undefined;
  readonly onListsChanged: (backend: BackendName) => void;
}

/** Decides what becomes of a backend's message that is no answer: whether the client gets it, and where. */
export class BackendMessages {
  readonly #options: BackendMessagesOptions;

  constructor(options: BackendMessagesOptions) {
    this.#options = options;
  }

  /** A message in a call's own stream as the client may see it; undefined where nothing is left to pass on. */
  admit(call: Call, event: BackendMessage): BackendMessage | undefined {
    const { method } = event.message;
    if (method === undefined) return undefined;
    if (LIST_CHANGED_METHODS.has(method)) {
      this.#options.onListsChanged(call.link.name);
      return undefined;
    }
    return call.connection === undefined ? undefined : this.#admitOn(call.connection, event);
  }

  /** Passes on a message that belongs to no call's own stream: it goes where the client expects it most. */
  unsolicited(link: BackendLink, message: BackendMessage): void {
    const { method, params } = message.message;
    const { outbox, routes } = this.#options;
    if (method === undefined) return;
    if (LIST_CHANGED_METHODS.has(method)) {
      this.#options.onListsChanged(link.name);
      return;
    }
    const { connection } = link;
    // A call may still wait on a connection that was lost, whose backend is not the one that speaks here.
    const calls = this.#options.callsOn(link).filter((call) => call.connection === connection);
    if (method === "notifications/progress") {
      const token = params?.["progressToken"];
      if (token === undefined) return;
      const call = calls.find(({ request }) => request.progressToken === token);
      call?.event(message);
      // A token that nobody here has given is of no use to anyone, and perhaps another session's.
      if (call !== undefined || !routes.tasks.hasToken(link.name, token)) return;
    }
    const [oldest] = calls;
    if (oldest !== undefined && (calls.length === 1 || !outbox.isOpen)) {
      oldest.event(message);
      return;
    }
    const admitted = connection === undefined ? undefined : this.#admitOn(connection, message);
    if (admitted !== undefined) outbox.send(admitted.bytes);
  }

  #admitOn(connection: BackendConnection, given: BackendMessage): BackendMessage | undefined {
    const message = this.#options.routes.tasks.eventForClient(connection.backend, given);
    return message.message.id === undefined
      ? this.#admitNotification(connection, message)
      : this.#options.clientRequests.accept(connection, message);
  }

  #admitNotification(
    connection: BackendConnection,
    notification: BackendMessage,
  ): BackendMessage | undefined {
    const { method, params } = notification.message;
    if (method === "notifications/cancelled") {
      return this.#options.clientRequests.withdraw(connection, notification);
    }
    const logLevel = this.#options.logLevel();
    // A backend may not have heard of the level yet, or not care.
    const isUnwanted =
      method === "notifications/message" &&
      logLevel !== undefined &&
      isBelowLevel(params?.["level"], logLevel);
    return isUnwanted ? undefined : notification;
  }
}
