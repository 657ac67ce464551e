import type { IncomingMessage } from "node:http";
import type { ClientEnvelope } from "../../mcp/client-envelope.ts";
import type { InboundRequest } from "../../mcp/inbound-message.ts";
import type { AnswerOutlet } from "./answer-outlet.ts";
import type { StatelessSession } from "./stateless-session.ts";

/** One request of a stateless client, checked, and the session that serves it. */
export interface Incoming {
  readonly http: IncomingMessage;
  readonly request: InboundRequest;
  readonly envelope: ClientEnvelope;
  readonly own: StatelessSession;
  readonly outlet: AnswerOutlet;
  /** Who we are, as JSON. */
  readonly serverInfoJson: string;
}
