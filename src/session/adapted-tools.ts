import { messageOf } from "../domain/errors.ts";
import { isJsonObject } from "../domain/json.ts";
import type { JsonObject } from "../domain/json.ts";
import { SILENT_LOGGER } from "../domain/logger.ts";
import type { Logger } from "../domain/logger.ts";
import { toMcpToolResult } from "../mcp/results.ts";
import { toInputSchema } from "../mcp/structured.ts";
import type { AdvertisedCapability, MultiSession } from "./session.ts";

interface AdaptedToolRequest {
  /** As the client sent them. Absent ones are an empty object. */
  readonly arguments?: unknown;
  readonly meta?: JsonObject;
  readonly signal?: AbortSignal;
}

/** One tool of a session for a server that registers tools with handlers. */
export interface AdaptedTool {
  readonly name: string;
  readonly description: string;
  readonly inputSchema: JsonObject;
  readonly title: string | undefined;
  readonly annotations: JsonObject | undefined;
  readonly outputSchema: JsonObject | undefined;
  /** The whole tool as it is advertised, fields unknown to us included. */
  readonly definition: JsonObject;
  /**
   * Calls the tool, whatever name the request may carry, and answers with the result as the protocol has it.
   * Never rejects: refused arguments and failed calls are results with `isError`.
   */
  handler(request: AdaptedToolRequest): Promise<JsonObject>;
}

/** The tools of a session as of now. Each holds on to the session and to the name it was registered under. */
export function adaptTools(
  session: Pick<MultiSession, "tools" | "callTool">,
  logger: Logger = SILENT_LOGGER,
): readonly AdaptedTool[] {
  return session.tools.map((tool) => adaptTool(session, tool, logger));
}

function adaptTool(
  session: Pick<MultiSession, "callTool">,
  tool: AdvertisedCapability,
  logger: Logger,
): AdaptedTool {
  const { name, description = "", inputSchema, value } = tool;
  const { title, annotations, outputSchema } = value;
  return {
    name,
    description,
    inputSchema: toInputSchema(inputSchema),
    title: typeof title === "string" ? title : undefined,
    annotations: isJsonObject(annotations) ? annotations : undefined,
    outputSchema: isJsonObject(outputSchema) ? outputSchema : undefined,
    definition: value,
    async handler({ arguments: args = {}, meta, signal }) {
      if (!isJsonObject(args)) return errorResult(`arguments must be object, got ${kindOf(args)}`);
      const options = { ...(meta && { meta }), ...(signal && { signal }) };
      try {
        return toMcpToolResult(await session.callTool(name, args, options), logger);
      } catch (error) {
        return errorResult(messageOf(error));
      }
    },
  };
}

function errorResult(text: string): JsonObject {
  return { content: [{ type: "text", text }], isError: true };
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}
