/**
 * What an audit record may be about. Those with `mcp_` and some of the others carry the names that ToolHive gives
 * them, so that its configurations and the readers of its records keep their meaning; types that only its proxies
 * write are known and never come.
 */
export const AUDIT_EVENT_TYPES = [
  "mcp_initialize",
  "mcp_tool_call",
  "mcp_tools_list",
  "mcp_resource_read",
  "mcp_resources_list",
  "mcp_resource_templates_list",
  "mcp_prompt_get",
  "mcp_prompts_list",
  "mcp_completion",
  "mcp_request",
  "mcp_notification",
  "mcp_ping",
  "mcp_logging",
  "mcp_roots_list_changed",
  "sse_connection",
  "http_request",
  "gateway_started",
  "gateway_stopped",
  "session_created",
  "session_terminated",
  "session_refused",
  "backend_client_initialized",
  "config_reload",
  "request_denied",
  "binding_mismatch",
  "credentials_refreshed",
  "definition_mismatch",
  "audit_resumed",
] as const;

export type AuditEventType = (typeof AUDIT_EVENT_TYPES)[number];
