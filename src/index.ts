/** The public API: everything that a program which embeds the gateway may rely on. */

export { createVmcp } from "./app/create-vmcp.ts";
export type { CreateVmcpOptions } from "./app/create-vmcp.ts";
export type { Overview, OverviewEntry } from "./app/overview.ts";
export type { CloseOptions } from "./app/shutdown.ts";
export type { ReloadReport, Vmcp, VmcpOptions } from "./app/vmcp.ts";

export { loadConfig } from "./config/load-config.ts";
export type { LoadedConfig, LoadOptions, VmcpConfigInput } from "./config/load-config.ts";
export type { PlanChange } from "./config/reload-plan.ts";
export { ConfigError } from "./config/problems.ts";
export type { ConfigProblem } from "./config/problems.ts";
export type { VmcpConfig } from "./config/vmcp-config.ts";

export { VmcpError } from "./domain/errors.ts";
export type { ExecutionState, VmcpErrorCode } from "./domain/errors.ts";
export { ANONYMOUS } from "./domain/identity.ts";
export type { Identity } from "./domain/identity.ts";
export type { BackendName, SessionId } from "./domain/ids.ts";
export type { JsonObject, JsonValue } from "./domain/json.ts";
export type { LogFields, Logger } from "./domain/logger.ts";

export type { BackendHealth, HealthState } from "./health/backend-health.ts";

export type { ContentBlock, ResourcePart } from "./mcp/content.ts";
export type { PromptMessage } from "./mcp/results.ts";

export type { SessionBackend } from "./session/backend-connection.ts";
export type { BackendStanding, EdgeSession } from "./session/edge-session.ts";
export type { SessionManager } from "./session/session-manager.ts";
export type {
  AdvertisedCapability,
  CallOptions,
  MakeSessionOptions,
  MultiSession,
  MultiSessionFactory,
  PromptResult,
  ReadResult,
  ToolCaller,
  ToolCallResult,
} from "./session/session.ts";
