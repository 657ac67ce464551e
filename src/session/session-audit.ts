import type { VmcpError } from "../domain/errors.ts";
import type { BackendMessage } from "../mcp/exchange.ts";
import type { InboundRequest } from "../mcp/inbound-message.ts";
import type { ListName } from "./view.ts";

/** One request whose beginning is on record. The first end that is told counts, and all later ones are ignored. */
export interface CallRecord {
  answered(answer: BackendMessage, backend: string | undefined): void;
  failed(error: VmcpError, backend?: string): void;
  /** The client gave the call up, or is gone. */
  cancelled(backend: string | undefined): void;
}

/** Who keeps a record of what one session does. */
export interface SessionAudit {
  /**
   * Called before a request goes anywhere. Throws `store_unavailable` where it must not go; undefined where
   * requests of its kind are not recorded.
   */
  callBegins(request: InboundRequest): CallRecord | undefined;
  /** A page of a list is about to be shown. Throws `store_unavailable` where it must not be. */
  listing(name: ListName): void;
  /** A list was asked for with a cursor that leads nowhere. */
  listingFailed(name: ListName, error: VmcpError): void;
}
