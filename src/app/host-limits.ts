import type { LimitsConfig } from "../config/vmcp-config.ts";
import type { HttpLimits } from "../server/http-host.ts";
import { defaultMaxConnections } from "./max-connections.ts";

/** The part of the limits that the HTTP edge keeps. */
export function hostLimits(limits: LimitsConfig): HttpLimits {
  return {
    requestBytes: limits.requestBytes,
    headerBytes: limits.headerBytes,
    headersTimeoutMs: limits.headersTimeoutMs,
    requestTimeoutMs: limits.headersTimeoutMs + limits.bodyTimeoutMs,
    keepAliveTimeoutMs: limits.keepAliveTimeoutMs,
    idleTimeoutMs: limits.idleTimeoutMs,
    maxConnections: limits.maxConnections ?? defaultMaxConnections(),
    streamBufferBytes: limits.streamBufferBytes,
  };
}
