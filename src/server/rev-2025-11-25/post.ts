import type { IncomingMessage, ServerResponse } from "node:http";
import { VmcpError } from "../../domain/errors.ts";
import type { Identity } from "../../domain/identity.ts";
import { initializeAnswer, type ServerInfo } from "../../gateway/initialize.ts";
import { serveRequest } from "../../gateway/virtual-server.ts";
import { LateSignal } from "../../lib/late-signal.ts";
import {
  parseInbound,
  type InboundMessage,
  type InboundRequest,
  type MessageLimits,
} from "../../mcp/inbound-message.ts";
import { encodeResult } from "../../mcp/json-rpc.ts";
import { joined, type MessageBytes } from "../../mcp/message-bytes.ts";
import type { EdgeSession } from "../../session/edge-session.ts";
import { AnswerWriter, type AnswerOptions } from "../answer-writer.ts";
import { readBody } from "../body.ts";
import { refuse } from "../http-errors.ts";
import { serveBatch } from "../rev-2025-03-26/batch.ts";
import { writeLoneAnswer } from "../lone-answer.ts";
import { requireAcceptsAnswer, requireAcceptsBoth, requireJsonBody } from "../media-types.ts";
import { writePage } from "../page-answer.ts";
import { isStateless, namesStateless } from "../rev-2026-07-28/family.ts";
import type { StatelessEdge } from "../rev-2026-07-28/stateless-edge.ts";
import type { EventLog } from "./event-log.ts";
import type { EventLogs } from "./event-logs.ts";
import {
  asRefusal,
  checkVersionHeader,
  findLiveSession,
  findSession,
  openSession,
  type EdgeSessions,
} from "./sessions.ts";

export interface PostOptions extends AnswerOptions {
  readonly sessions: EdgeSessions;
  readonly serverInfo: ServerInfo;
  readonly maxRequestBytes: number;
  readonly messageLimits: MessageLimits;
  readonly eventLogs: EventLogs;
  /** Who serves the messages of clients that know no sessions. */
  readonly stateless: StatelessEdge;
}

/** Takes one message of a client: a request, a notification, or an answer to a backend's request. */
export async function handlePost(
  request: IncomingMessage,
  response: ServerResponse,
  identity: Identity,
  options: PostOptions,
): Promise<void> {
  let message: InboundMessage | undefined;
  try {
    requireJsonBody(request);
    const body = await readBody(request, response, options.maxRequestBytes);
    message = parseInbound(body, options.messageLimits);
    const serving = take(message, body, request, response, identity, options);
    if (serving !== undefined) await serving;
  } catch (error) {
    await refuse(request, response, asRefusal(error), { ...options, idJson: idOf(message) });
  }
}

function idOf(message: InboundMessage | undefined): string | undefined {
  return message?.kind === "request" || message?.kind === "invalid" ? message.idJson : undefined;
}

/** Undefined where nothing has to be waited for: most messages belong to a session that is live. */
function take(
  message: InboundMessage,
  body: MessageBytes,
  request: IncomingMessage,
  response: ServerResponse,
  identity: Identity,
  options: PostOptions,
): Promise<void> | undefined {
  if (isStateless(request, message)) {
    return options.stateless.serve(request, response, message, identity);
  }
  // A client that opens a session after it asked for the other family may have its header still on.
  if (!namesStateless(request)) checkVersionHeader(request);
  if (message.kind === "request" && isOpening(message, request)) {
    requireAcceptsAnswer(request);
    return initialize(message, response, identity, options);
  }
  if (message.kind === "invalid") throw message.error;
  const session = findLiveSession(options.sessions, request, identity);
  if (session === undefined) return takeLater(message, body, request, response, identity, options);
  serveIn(session, message, body, response, options);
  return undefined;
}

async function takeLater(
  message: SessionMessage,
  body: MessageBytes,
  request: IncomingMessage,
  response: ServerResponse,
  identity: Identity,
  options: PostOptions,
): Promise<void> {
  const session = await findSession(options.sessions, request, identity);
  serveIn(session, message, body, response, options);
}

/** An `initialize` that names a session is for that session to refuse. */
function isOpening({ method }: InboundRequest, { headers }: IncomingMessage): boolean {
  return method === "initialize" && headers["mcp-session-id"] === undefined;
}

/** A message that belongs to a session. */
type SessionMessage = Exclude<InboundMessage, { kind: "invalid" }>;

function serveIn(
  session: EdgeSession,
  message: SessionMessage,
  body: MessageBytes,
  response: ServerResponse,
  options: PostOptions,
): void {
  requireAcceptsAnswer(response.req);
  if (message.kind === "batch") {
    requireAcceptsBoth(response.req);
    serveBatch(session, joined(body), response, options);
  } else serve(session, message, response, options);
}

function serve(
  session: EdgeSession,
  message: Exclude<SessionMessage, { kind: "batch" }>,
  response: ServerResponse,
  options: PostOptions,
): void {
  switch (message.kind) {
    case "request": {
      const events = (): EventLog => options.eventLogs.of(session);
      const writer = new AnswerWriter(response, message.idJson, events, options);
      const reply = serveRequest(session, message, writer);
      if (reply.kind === "exchange") writer.follow(reply.exchange);
      else if (reply.page === undefined) writeLoneAnswer(response, reply.bytes);
      else writePage(response, reply.page, { idJson: reply.idJson });
      return;
    }
    case "notification":
      session.notify(message);
      accepted(response);
      return;
    case "response":
      session.answer(message);
      accepted(response);
      return;
  }
}

/** The reply leaves when the session is whole or its start deadline has passed, so that the next call finds it. */
async function initialize(
  message: InboundRequest,
  response: ServerResponse,
  identity: Identity,
  { sessions, serverInfo }: PostOptions,
): Promise<void> {
  const withdrawal = new LateSignal();
  response.on("close", () => {
    // Every response closes in the end, and an error costs its stack: one is made only where it is needed.
    if (response.writableEnded) return;
    withdrawal.abort(
      new VmcpError("cancelled", "The client went away before its session was there"),
    );
  });
  const { remoteAddress: address } = response.req.socket;
  const opening = { withdrawal, address };
  const session = await openSession(sessions, message, identity, opening);
  const result = initializeAnswer(session, serverInfo);
  writeLoneAnswer(response, encodeResult(message.idJson, result), session.id);
}

function accepted(response: ServerResponse): void {
  response.writeHead(202, { "content-length": 0 }).end();
}
