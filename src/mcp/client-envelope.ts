import type { JsonObject } from "../domain/json.ts";

/**
 * What a client of a stateless revision says of itself in each request (MCP 2026-07-28, `_meta` of requests).
 *
 * A request that carries one comes from a client that is asked for input by an answer (`input_required`) and not
 * by a request of its own, so that such an answer is passed on to it as it is.
 */
export interface ClientEnvelope {
  readonly revision: string;
  readonly capabilities: JsonObject;
  readonly info: JsonObject;
  /** Absent where the client wants no log messages for this request. */
  readonly logLevel?: string;
}
