import { isJsonObject, type JsonObject } from "../../domain/json.ts";
import {
  ENDED_EXCHANGE,
  type AnswerSink,
  type BackendMessage,
  type Exchange,
  type OutboundRequest,
} from "../../mcp/exchange.ts";
import { encodeError, encodeResult, type JsonRpcError } from "../../mcp/json-rpc.ts";
import { joined, type MessageBytes } from "../../mcp/message-bytes.ts";
import { lastMember, topOf } from "./member-edits.ts";

/** The parameters of a request; none where they are no object. */
export function paramsOf(request: MessageBytes): JsonObject {
  const value: unknown = JSON.parse(joined(request).toString());
  const params = isJsonObject(value) ? value["params"] : undefined;
  return isJsonObject(params) ? params : {};
}

/** The level that a `logging/setLevel` sets. */
export function levelIn({ bytes }: OutboundRequest): string | undefined {
  const { level } = paramsOf(bytes);
  return typeof level === "string" ? level : undefined;
}

/** The id of a request exactly as it was written, so that numbers beyond 2^53 come back unchanged. */
export function idJsonOf({ bytes: given, id }: OutboundRequest): string {
  const bytes = joined(given);
  const member = lastMember(bytes, topOf(bytes), "id");
  if (member === undefined) return JSON.stringify(id);
  return bytes.toString("utf8", member.valueStart, member.valueEnd);
}

/** Answers in the backend's place that what was asked for is done. */
export function answerEmpty(request: OutboundRequest, sink: AnswerSink): Exchange {
  queueMicrotask(() => sink.answer(emptyAnswer(request)));
  return ENDED_EXCHANGE;
}

export function emptyAnswer(request: OutboundRequest): BackendMessage {
  const bytes = encodeResult(idJsonOf(request), "{}");
  return { bytes, message: { jsonrpc: "2.0", id: request.id, result: {} } };
}

export function errorAnswer(request: OutboundRequest, error: JsonRpcError): BackendMessage {
  const bytes = encodeError(idJsonOf(request), error);
  return { bytes, message: { jsonrpc: "2.0", id: request.id, error } };
}
