import type { VmcpError } from "../../domain/errors.ts";
import type { RequestSender } from "../../lib/http-client/request-sender.ts";
import type { ClientWaits } from "../client-waits.ts";
import type { BackendSettings } from "../options.ts";
import type { ChannelRequest } from "../ports.ts";
import type { HttpExchange } from "./http-exchange.ts";

/** What an exchange needs of the channel that it belongs to. */
export interface HttpRoute {
  readonly settings: BackendSettings;
  readonly path: string;
  readonly isTls: boolean;
  readonly calls: RequestSender;
  readonly streams: RequestSender;
  readonly waits: ClientWaits;
  /** Names and values in turn; never changed once a request carries it. */
  readonly requestHeaders: string[];
  readonly backendSessionId: string | undefined;
  /** Sends the request by POST; its answer comes to the handler. */
  post(request: ChannelRequest, handler: HttpExchange): void;
  /** Takes what the answer to `initialize` says of the session; false if no session can be called that. */
  adopt(sessionId: string | undefined): boolean;
  /** Sends a notification without waiting for its fate. */
  tell(message: Buffer): void;
  lost(error: VmcpError): void;
  /** Whether the backend still knows the session. Never rejects. */
  isSessionAlive(): Promise<boolean>;
  /** The exchange told its sink everything, or its sink wants to hear no more. */
  ended(exchange: HttpExchange): void;
}
