import type { AuditEventType } from "../domain/audit-event-types.ts";
import type { JsonObject } from "../domain/json.ts";
import { clipText, withoutUriSecrets } from "./audit-record.ts";

/** What is known of a request of a client. */
export interface AuditedRequest {
  readonly method: string;
  readonly params: JsonObject | undefined;
}

const TYPES: ReadonlyMap<string, AuditEventType> = new Map([
  ["tools/call", "mcp_tool_call"],
  ["tools/list", "mcp_tools_list"],
  ["resources/read", "mcp_resource_read"],
  ["resources/list", "mcp_resources_list"],
  ["resources/templates/list", "mcp_resource_templates_list"],
  ["prompts/get", "mcp_prompt_get"],
  ["prompts/list", "mcp_prompts_list"],
  ["completion/complete", "mcp_completion"],
]);

/** What kinds of things these methods are about; those that are not here name none. */
const TARGET_TYPES: ReadonlyMap<string, string> = new Map([
  ["tools/call", "tool"],
  ["prompts/get", "prompt"],
  ["resources/read", "resource"],
  ["resources/subscribe", "resource"],
  ["resources/unsubscribe", "resource"],
]);

/** Everything that has no type of its own is an `mcp_request`. */
export function eventTypeOf(method: string): AuditEventType {
  return TYPES.get(method) ?? "mcp_request";
}

/** What a request is about, without what may be a secret in a URI unless `isWhole`. */
export function targetOf({ method, params }: AuditedRequest, isWhole: boolean): JsonObject {
  const type = TARGET_TYPES.get(method);
  const target: Record<string, string> = { method: clipText(method) ?? "" };
  if (type === undefined) return target;
  target["type"] = type;
  const name = clipText(params?.["name"]);
  if (name !== undefined) target["name"] = name;
  const uri = clipText(params?.["uri"]);
  if (uri !== undefined) target["uri"] = isWhole ? uri : withoutUriSecrets(uri);
  return target;
}

/** The part of a request that is content: what a tool or prompt is given, or else everything but `_meta`. */
export function contentOf({ params }: AuditedRequest): JsonObject {
  if (params === undefined) return {};
  const { _meta: _unused, ...rest } = params;
  const given = rest["arguments"];
  return given === undefined ? rest : { arguments: given };
}
