import type { JsonObject, JsonValue } from "../domain/json.ts";

export type RequestId = string | number;

export const PARSE_ERROR = -32_700;
export const INVALID_REQUEST = -32_600;
export const METHOD_NOT_FOUND = -32_601;
export const INVALID_PARAMS = -32_602;
export const INTERNAL_ERROR = -32_603;

export interface JsonRpcError {
  readonly code: number;
  readonly message: string;
  readonly data?: JsonValue;
}

/** A message as parsed, before anything about its method is known. */
export interface JsonRpcMessage {
  readonly jsonrpc: "2.0";
  readonly id?: RequestId;
  readonly method?: string;
  readonly params?: JsonObject;
  readonly result?: JsonObject;
  readonly error?: JsonRpcError;
}

/** Our own requests carry ids with this prefix; a client that uses it is refused. */
export const OWN_ID_PREFIX = "vmcp:";

/**
 * Builds an answer around a result that is already JSON text, so that it is not serialised again. `idJson` is
 * the id as the client wrote it.
 */
export function encodeResult(idJson: string, resultJson: string | Buffer): Buffer {
  const head = resultHead(idJson);
  if (typeof resultJson === "string") return Buffer.from(`${head}${resultJson}${RESULT_TAIL}`);
  return Buffer.concat([Buffer.from(head), resultJson, Buffer.from(RESULT_TAIL)]);
}

/** What stands before the result in the answer that `encodeResult` builds. */
export function resultHead(idJson: string): string {
  return `{"jsonrpc":"2.0","id":${idJson},"result":`;
}

/** What stands behind it. */
export const RESULT_TAIL = "}";

/** An error answer; the id is left out where the request's id could not be read. */
export function encodeError(idJson: string | undefined, error: JsonRpcError): Buffer {
  const id = idJson === undefined ? "" : `"id":${idJson},`;
  return Buffer.from(`{"jsonrpc":"2.0",${id}"error":${JSON.stringify(error)}}`);
}

export function encodeRequest(id: RequestId, method: string, params?: JsonObject): Buffer {
  return Buffer.from(JSON.stringify({ jsonrpc: "2.0", id, method, ...(params && { params }) }));
}

export function encodeNotification(method: string, params?: JsonObject): Buffer {
  return Buffer.from(JSON.stringify({ jsonrpc: "2.0", method, ...(params && { params }) }));
}
