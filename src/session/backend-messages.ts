import type { BackendName } from "../domain/ids.ts";
import type { BackendMessage } from "../mcp/exchange.ts";
import type { BackendConnection, ClientProfile } from "./backend-connection.ts";
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

/** The session whose backends speak. */
export interface BackendMessagesHost {
  readonly clientRequests: ClientRequests;
  readonly outbox: Outbox;
  readonly routes: SessionRoutes;
  /** The calls in flight on a link, oldest first. */
  callsOn(link: BackendLink): readonly Call[];
  readonly client: Pick<ClientProfile, "isAskedInCallsOnly">;
  /** The level that the client set, if it set one. */
  readonly logLevel: string | undefined;
  onListsChanged(backend: BackendName): void;
  /** Whether the client may know of this backend's resource. */
  maySee(uri: string, backend: BackendName): boolean;
}

/** Decides what becomes of a backend's message that is no answer: whether the client gets it, and where. */
export class BackendMessages {
  readonly #host: BackendMessagesHost;

  constructor(host: BackendMessagesHost) {
    this.#host = host;
  }

  /** A message in a call's own stream as the client may see it; undefined where nothing is left to pass on. */
  admit(call: Call, event: BackendMessage): BackendMessage | undefined {
    const { method } = event.message;
    if (method === undefined) return undefined;
    if (LIST_CHANGED_METHODS.has(method)) {
      this.#host.onListsChanged(call.link.name);
      return undefined;
    }
    return call.connection === undefined ? undefined : this.#admitOn(call.connection, event);
  }

  /** Passes on a message that belongs to no call's own stream: it goes where the client expects it most. */
  unsolicited(link: BackendLink, message: BackendMessage): void {
    const { method, params } = message.message;
    const { outbox, routes } = this.#host;
    if (method === undefined) return;
    if (LIST_CHANGED_METHODS.has(method)) {
      this.#host.onListsChanged(link.name);
      return;
    }
    const { connection } = link;
    // A call may still wait on a connection that was lost, whose backend is not the one that speaks here.
    const calls = this.#host.callsOn(link).filter((call) => call.connection === connection);
    if (method === "notifications/progress") {
      const token = params?.["progressToken"];
      if (token === undefined) return;
      const call = calls.find(({ request }) => request.progressToken === token);
      call?.event(message);
      // A token that nobody here has given is of no use to anyone, and perhaps another session's.
      if (call !== undefined || !routes.tasks.hasToken(link.name, token)) return;
    }
    const [oldest] = calls;
    // Outside of calls there is nobody who could answer a backend's request.
    const { isAskedInCallsOnly = false } = this.#host.client;
    const isForCallsOnly = isAskedInCallsOnly && message.message.id !== undefined;
    if (isForCallsOnly && oldest === undefined && connection !== undefined) {
      this.#host.clientRequests.refuse(connection, message);
      return;
    }
    if (oldest !== undefined && (isForCallsOnly || calls.length === 1 || !outbox.isOpen)) {
      oldest.event(message);
      return;
    }
    const admitted = connection === undefined ? undefined : this.#admitOn(connection, message);
    if (admitted !== undefined) outbox.send(admitted.bytes);
  }

  #admitOn(connection: BackendConnection, given: BackendMessage): BackendMessage | undefined {
    const message = this.#host.routes.tasks.eventForClient(connection.backend, given);
    return message.message.id === undefined
      ? this.#admitNotification(connection, message)
      : this.#host.clientRequests.accept(connection, message);
  }

  #admitNotification(
    connection: BackendConnection,
    notification: BackendMessage,
  ): BackendMessage | undefined {
    const { method, params } = notification.message;
    if (method === "notifications/cancelled") {
      return this.#host.clientRequests.withdraw(connection, notification);
    }
    if (method === "notifications/resources/updated") {
      const uri = params?.["uri"];
      // Who was allowed to subscribe may not be any more.
      const isSeen = typeof uri !== "string" || this.#host.maySee(uri, connection.backend);
      return isSeen ? notification : undefined;
    }
    const { logLevel } = this.#host;
    // A backend may not have heard of the level yet, or not care.
    const isUnwanted =
      method === "notifications/message" &&
      logLevel !== undefined &&
      isBelowLevel(params?.["level"], logLevel);
    return isUnwanted ? undefined : notification;
  }
}
