import { VmcpError } from "../domain/errors.ts";
import type { JsonObject } from "../domain/json.ts";
import type { AnswerSink, Exchange } from "../mcp/exchange.ts";
import {
  DEFAULT_MESSAGE_LIMITS,
  parseInbound,
  type InboundRequest,
} from "../mcp/inbound-message.ts";
import { encodeRequest } from "../mcp/json-rpc.ts";
import { toPromptResult, toReadResult, toToolCallResult } from "../mcp/results.ts";
import type {
  CallOptions,
  PromptResult,
  ReadResult,
  ToolCaller,
  ToolCallResult,
} from "./session.ts";

/** Ids of calls made by code; clients' ids may be anything else, so these are unlikely on purpose. */
const CALLER_ID_PREFIX = "vmcp-call:";

/**
 * Calls as promises of values, for those who embed the gateway. An adapter over `forward`: the protocol edges
 * never come through here.
 */
export class SessionCaller implements ToolCaller {
  readonly #forward: (request: InboundRequest, sink: AnswerSink) => Exchange;
  #count = 0;

  constructor(forward: (request: InboundRequest, sink: AnswerSink) => Exchange) {
    this.#forward = forward;
  }

  async callTool(name: string, args: JsonObject, options?: CallOptions): Promise<ToolCallResult> {
    return toToolCallResult(await this.#request("tools/call", { name, arguments: args }, options));
  }

  async readResource(uri: string, options?: CallOptions): Promise<ReadResult> {
    return toReadResult(await this.#request("resources/read", { uri }, options));
  }

  async getPrompt(name: string, args: JsonObject, options?: CallOptions): Promise<PromptResult> {
    return toPromptResult(await this.#request("prompts/get", { name, arguments: args }, options));
  }

  async #request(
    method: string,
    params: JsonObject,
    options: CallOptions = {},
  ): Promise<JsonObject> {
    const { meta, signal } = options;
    signal?.throwIfAborted();
    const request = this.#encode(method, meta === undefined ? params : { ...params, _meta: meta });
    let onAbort: (() => void) | undefined;
    try {
      return await new Promise<JsonObject>((resolve, reject) => {
        const exchange = this.#forward(request, {
          event: () => true,
          answer: ({ message }) => {
            if (message.result !== undefined) resolve(message.result);
            else reject(backendError(message.error?.message, message.error));
          },
          fail: reject,
        });
        onAbort = () => {
          exchange.cancel("The caller gave up");
          reject(new VmcpError("cancelled", `The call of ${method} was given up by its caller`));
        };
        signal?.addEventListener("abort", onAbort, { once: true });
      });
    } finally {
      if (onAbort !== undefined) signal?.removeEventListener("abort", onAbort);
    }
  }

  #encode(method: string, params: JsonObject): InboundRequest {
    this.#count += 1;
    const bytes = encodeRequest(`${CALLER_ID_PREFIX}${this.#count}`, method, params);
    const parsed = parseInbound(bytes, { ...DEFAULT_MESSAGE_LIMITS, jsonDepth: 1_000 });
    if (parsed.kind !== "request") {
      throw new VmcpError("invalid_argument", `The arguments of ${method} cannot be sent as JSON`);
    }
    return parsed;
  }
}

function backendError(message = "The backend refused the call", cause?: unknown): VmcpError {
  return new VmcpError("backend_error", message, { cause });
}
