import { isUtf8 } from "node:buffer";
import type { ExecutionState } from "../domain/errors.ts";
import { isJsonObject } from "../domain/json.ts";
import type { BackendMessage } from "../mcp/exchange.ts";
import type { JsonRpcMessage, RequestId } from "../mcp/json-rpc.ts";
import { exceedsDepth, scanElements } from "../mcp/json-spans.ts";

/** What is wrong with what a backend sent: the rest of a sentence that begins with its name. */
export interface Fault {
  readonly sentence: string;
  readonly executionState: ExecutionState;
}

/**
 * Reads a JSON text once and hands out its messages: one, or those of a batch in order (revision 2025-03-26).
 *
 * Checks UTF-8, unless that is known of the bytes, JSON, the `jsonrpc` member and the nesting, and nothing about what
 * kind of message it is. The bytes of each message are a view into those given. Returns the fault that ended the reading.
 */
export function readMessages(
  bytes: Buffer,
  jsonDepth: number,
  visit: (message: BackendMessage) => void,
  isKnownUtf8 = false,
): Fault | undefined {
  if (!isKnownUtf8 && !isUtf8(bytes)) return fault("sent a message that is not valid UTF-8");
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString());
  } catch {
    return fault("sent something that is not JSON");
  }
  // Nesting of n levels takes 2n bytes: short messages need no scan.
  if (bytes.length > 2 * jsonDepth && exceedsDepth(bytes, jsonDepth)) {
    const hasResult = isJsonObject(value) && "result" in value;
    return fault(
      `sent a message that is nested deeper than ${jsonDepth} levels`,
      hasResult ? "executed" : "unknown",
    );
  }
  if (Array.isArray(value)) return readBatch(bytes, value, visit);
  return readOne(bytes, value, visit);
}

/**
 * What keeps an answer from being forwarded, or undefined for a good one.
 *
 * A result of the wrong shape proves that the backend did its work; a broken error object proves nothing.
 */
export function faultOfAnswer({ result, error }: JsonRpcMessage): Fault | undefined {
  if (result !== undefined) {
    if (error !== undefined) return fault("answered with a result and an error at once");
    if (!isJsonObject(result)) return fault("answered with a result that is no object", "executed");
    const resultType = result["resultType"];
    if (resultType !== undefined && !RESULT_TYPES.has(resultType)) {
      return fault("answered with a result of an unknown type", "executed");
    }
    return undefined;
  }
  if (!isJsonObject(error)) return fault("answered with neither a result nor an error");
  // The type says what a sound backend sends; this one is not yet known to be sound.
  const { code, message } = error as { readonly code: unknown; readonly message: unknown };
  if (!Number.isInteger(code) || typeof message !== "string") {
    return fault("answered with an error that lacks its code or message");
  }
  return undefined;
}

/** The id of the request that an outgoing message answers; undefined if it is no answer. */
export function answeredId(message: Buffer): RequestId | undefined {
  let value: unknown;
  try {
    value = JSON.parse(message.toString());
  } catch {
    return undefined;
  }
  if (!isJsonObject(value) || value["method"] !== undefined) return undefined;
  const { id } = value;
  return typeof id === "string" || typeof id === "number" ? id : undefined;
}

/** The values that MCP gives to `resultType`, which tells how a result is to be read. */
const RESULT_TYPES: ReadonlySet<unknown> = new Set(["complete", "input_required", "task"]);

function readBatch(
  bytes: Buffer,
  values: readonly unknown[],
  visit: (message: BackendMessage) => void,
): Fault | undefined {
  const spans = scanElements(bytes, bytes.indexOf(OPEN_BRACKET));
  for (const [index, { valueStart, valueEnd }] of spans.entries()) {
    const found = readOne(bytes.subarray(valueStart, valueEnd), values[index], visit);
    if (found !== undefined) return found;
  }
  return undefined;
}

function readOne(
  bytes: Buffer,
  value: unknown,
  visit: (message: BackendMessage) => void,
): Fault | undefined {
  if (!isJsonObject(value) || value["jsonrpc"] !== "2.0") {
    return fault("sent something that is not a JSON-RPC message");
  }
  const { id, method } = value;
  if (id !== undefined && id !== null && typeof id !== "string" && typeof id !== "number") {
    return fault("sent a message whose id is neither a string nor a number");
  }
  if (method !== undefined && typeof method !== "string") {
    return fault("sent a message whose method is no string");
  }
  // The envelope was checked on the lines above; what is in it is checked by whoever uses it.
  visit({ bytes, message: value as unknown as JsonRpcMessage });
  return undefined;
}

function fault(sentence: string, executionState: ExecutionState = "unknown"): Fault {
  return { sentence, executionState };
}

const OPEN_BRACKET = 0x5b;
