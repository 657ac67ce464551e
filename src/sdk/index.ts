/** The gateway's sessions behind the official SDK's own server transport. Needs `@modelcontextprotocol/server`. */

export { createSdkHandler } from "./sdk-handler.ts";
export type { SdkHandler, SdkHandlerOptions, SdkSessions } from "./sdk-handler.ts";
export { createSessionIds } from "./session-ids.ts";
export type { SessionIds, SessionIdSource } from "./session-ids.ts";
