import { VmcpError } from "../domain/errors.ts";
import type { AnswerSink, Exchange } from "../mcp/exchange.ts";
import { clip, type InboundRequest } from "../mcp/inbound-message.ts";
import { encodeResult } from "../mcp/json-rpc.ts";
import type { EdgeSession } from "../session/edge-session.ts";
import { LOG_LEVELS } from "../session/log-levels.ts";
import type { ListName } from "../session/view.ts";

/** The list methods, and the array that their result holds. */
export const LIST_METHODS: ReadonlyMap<string, ListName> = new Map([
  ["tools/list", "tools"],
  ["prompts/list", "prompts"],
  ["resources/list", "resources"],
  ["resources/templates/list", "resourceTemplates"],
]);

/** The methods that the gateway answers itself; all others go to the backend which owns what they name. */
const ANSWERED_HERE: ReadonlySet<string> = new Set([
  ...LIST_METHODS.keys(),
  "initialize",
  "ping",
  "logging/setLevel",
]);

/** Either the whole answer, or the call under way whose answer flows into the sink. */
export type Reply = OwnAnswer | { readonly kind: "exchange"; readonly exchange: Exchange };

/** An answer that no backend was asked for. */
class OwnAnswer {
  readonly kind = "answer";
  /** The id as the client wrote it. */
  readonly idJson: string;
  readonly #result: string | Buffer;

  /** `result` is JSON; bytes are a page of a list. */
  constructor(idJson: string, result: string | Buffer) {
    this.idJson = idJson;
    this.#result = result;
  }

  /** The result where it is a page of a list: the same bytes for all who are shown it. */
  get page(): Buffer | undefined {
    return typeof this.#result === "string" ? undefined : this.#result;
  }

  /** The whole message in one piece, made anew each time. */
  get bytes(): Buffer {
    return encodeResult(this.idJson, this.#result);
  }
}

/**
 * Serves one request of a client within its session. Knows nothing of HTTP.
 *
 * Throws a `VmcpError` for what is refused before anything was sent to a backend.
 */
export function serveRequest(
  session: EdgeSession,
  request: InboundRequest,
  sink: AnswerSink,
): Reply {
  if (request.hasBadParams) throw new VmcpError("invalid_params", '"params" must be an object');
  if (!ANSWERED_HERE.has(request.method)) {
    return { kind: "exchange", exchange: session.forward(request, sink) };
  }
  return new OwnAnswer(request.idJson, answerHere(session, request));
}

function answerHere(session: EdgeSession, request: InboundRequest): string | Buffer {
  const { method, params } = request;
  const list = LIST_METHODS.get(method);
  if (list !== undefined) return session.list(list, params?.["cursor"]);
  switch (method) {
    case "ping":
      session.touch();
      return "{}";
    case "logging/setLevel":
      setLogLevel(session, params?.["level"]);
      return "{}";
    case "initialize":
      throw new VmcpError("invalid_request", "The session is already initialized");
    default:
      throw new VmcpError("method_not_found", `Method not found: ${clip(method)}`);
  }
}

function setLogLevel(session: EdgeSession, level: unknown): void {
  if (typeof level !== "string" || !LOG_LEVELS.includes(level)) {
    throw new VmcpError("invalid_params", `"params.level" must be one of ${LOG_LEVELS.join(", ")}`);
  }
  session.setLogLevel(level);
}
