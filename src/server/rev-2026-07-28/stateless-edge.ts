import type { IncomingMessage, ServerResponse } from "node:http";
import { VmcpError, type VmcpErrorCode } from "../../domain/errors.ts";
import type { Identity } from "../../domain/identity.ts";
import type { Logger } from "../../domain/logger.ts";
import { discoverResult } from "../../gateway/discover.ts";
import type { ServerInfo } from "../../gateway/initialize.ts";
import { LIST_METHODS } from "../../gateway/virtual-server.ts";
import { clip, type InboundMessage, type InboundRequest } from "../../mcp/inbound-message.ts";
import { TASK_METHODS } from "../../mcp/task-ids.ts";
import { refuse } from "../http-errors.ts";
import { requireAcceptsAnswer } from "../media-types.ts";
import type { OpenStreams } from "../open-streams.ts";
import type { EdgeSessions } from "../rev-2025-11-25/sessions.ts";
import { AnswerOutlet } from "./answer-outlet.ts";
import { Calls } from "./calls.ts";
import { NOT_CACHED, ownAnswer, ownMembers } from "./client-answer.ts";
import { readEnvelope } from "./envelope.ts";
import type { Incoming } from "./incoming.ts";
import { knowsTasks, tasksMissing } from "./input-requests.ts";
import { serveListen } from "./listen.ts";
import { sessionNameOf } from "./session-name.ts";
import { checkStandardHeaders, subjectOf } from "./standard-headers.ts";
import { StatelessSessions } from "./stateless-sessions.ts";

export interface StatelessEdgeOptions {
  readonly sessions: EdgeSessions;
  readonly serverInfo: ServerInfo;
  readonly logger: Logger;
  readonly streams: OpenStreams;
  /** The path of the endpoint, below which sessions have names. */
  readonly path: string;
  readonly maxRequestBytes: number;
  /** Bytes that may wait for one slow reader. */
  readonly streamBufferBytes: number;
  /** Secrets that every process of the gateway knows, for what clients hold between two rounds. Default: none. */
  readonly stateKeys?: readonly string[] | undefined;
  /** How long a client has to come back with what a backend asked it. Default 10 min. */
  readonly clientAnswerMs?: (() => number) | undefined;
}

const CLIENT_ANSWER_MS = 10 * 60_000;

/** Methods that only sessions have. */
const SESSION_METHODS: ReadonlySet<string> = new Set([
  "initialize",
  "ping",
  "logging/setLevel",
  "resources/subscribe",
  "resources/unsubscribe",
  "tasks/list",
  "tasks/result",
]);

/**
 * Serves clients of MCP 2026-07-28, whose requests each stand alone. Behind each of them is a session like any
 * other, which is found by who asks and not by an id.
 */
export class StatelessEdge implements Disposable {
  readonly #options: StatelessEdgeOptions;
  readonly #sessions: StatelessSessions;
  readonly #calls: Calls;
  readonly #serverInfoJson: string;

  constructor(options: StatelessEdgeOptions) {
    const { stateKeys = [], clientAnswerMs = () => CLIENT_ANSWER_MS } = options;
    this.#options = options;
    this.#sessions = new StatelessSessions(options);
    this.#calls = new Calls({ stateKeys, clientAnswerMs });
    this.#serverInfoJson = JSON.stringify(options.serverInfo);
  }

  /** Answers one POST whose body was read already. Never rejects. */
  async serve(
    http: IncomingMessage,
    response: ServerResponse,
    message: InboundMessage,
    identity: Identity,
  ): Promise<void> {
    const idJson = "idJson" in message ? message.idJson : undefined;
    try {
      switch (message.kind) {
        case "request":
          await this.#serveRequest(http, response, message, identity);
          return;
        case "notification":
          // The revision has none that a client sends over HTTP.
          response.writeHead(202, { "content-length": 0 }).end();
          return;
        case "invalid":
          throw message.error;
        case "batch":
        case "response":
          throw new VmcpError("invalid_request", "Send one request at a time, and no answers");
      }
    } catch (error) {
      await refuse(http, response, asRefusal(error, message), { ...this.#options, idJson });
    }
  }

  /** No new connection is taken from now on, so that nobody comes back to a call that waits for its client. */
  stopAccepting(): void {
    this.#calls.abandonParked();
  }

  [Symbol.dispose](): void {
    this.#sessions[Symbol.dispose]();
  }

  async #serveRequest(
    http: IncomingMessage,
    response: ServerResponse,
    request: InboundRequest,
    identity: Identity,
  ): Promise<void> {
    const envelope = readEnvelope(request.params);
    checkStandardHeaders(http, request, envelope.revision);
    if (SESSION_METHODS.has(request.method)) {
      throw new VmcpError("method_not_found", `Method not found: ${clip(request.method)}`);
    }
    requireAcceptsAnswer(http);
    if (TASK_METHODS.has(request.method) && !knowsTasks(envelope.capabilities))
      throw tasksMissing();
    const name = sessionNameOf(http, this.#options.path);
    const outlet = new AnswerOutlet(response, request.idJson, this.#options);
    const own = await this.#sessions.of(identity, name);
    const incoming = {
      http,
      request,
      envelope,
      own,
      outlet,
      serverInfoJson: this.#serverInfoJson,
    };
    if (response.destroyed) return;
    try {
      own.identify(identity);
      this.#dispatch(incoming);
    } catch (error) {
      if (!hasEnded(error)) throw error;
      // Its clients cannot know that it ended between two of their requests: another one goes on.
      this.#sessions.leave(own);
      const next = await this.#sessions.of(identity, name);
      next.identify(identity);
      this.#dispatch({ ...incoming, own: next });
    }
  }

  #dispatch(incoming: Incoming): void {
    const { request, own, outlet } = incoming;
    const { method, idJson } = request;
    const answering = { idJson, serverInfoJson: this.#serverInfoJson };
    const list = LIST_METHODS.get(method);
    if (list !== undefined) {
      const page = own.session.list(list, request.params?.["cursor"]);
      const hint = own.session.cacheHint?.() ?? NOT_CACHED;
      outlet.endWithPage(page, ownMembers(this.#serverInfoJson, { hint }));
    } else if (method === "server/discover") {
      own.session.touch();
      const result = Buffer.from(JSON.stringify(discoverResult(own.session)));
      outlet.end(ownAnswer(result, answering, { hint: NOT_CACHED }));
    } else if (method === "subscriptions/listen") serveListen(incoming);
    else this.#calls.serve(incoming);
  }
}

function hasEnded(error: unknown): boolean {
  return (
    error instanceof VmcpError &&
    error.code === "session_closed" &&
    error.executionState === "not_executed"
  );
}

/** The same in the words of this revision, which knows no sessions and answers an unknown method with 404. */
function asRefusal(thrown: unknown, message: InboundMessage): unknown {
  if (!(thrown instanceof VmcpError)) return thrown;
  const { code, message: text } = thrown;
  if (LOST_CODES.has(code)) {
    return new VmcpError("overloaded", "The session ended while it was made: try again", {
      retryAfterSeconds: 1,
    });
  }
  if (code === "method_not_found") return new VmcpError("unknown_method", text);
  const isUnknownResource =
    code === "capability_not_found" &&
    message.kind === "request" &&
    message.method === "resources/read";
  if (!isUnknownResource) return thrown;
  return new VmcpError(code, text, {
    data: { uri: clip(subjectOf(message) ?? "", MAX_URI_LENGTH) },
  });
}

const LOST_CODES: ReadonlySet<VmcpErrorCode> = new Set([
  "session_exists",
  "session_not_found",
  "session_terminated",
]);

const MAX_URI_LENGTH = 8_192;
