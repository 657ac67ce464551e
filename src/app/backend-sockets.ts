import type { VmcpConfig } from "../config/vmcp-config.ts";

/** Where only few calls may be in flight, lists and pings must still find a way past them. */
const MIN_SOCKETS_PER_ORIGIN = 256;

/** Calls that the limits let through must not wait for each other's sockets, nor must sessions that start. */
export function socketsPerOrigin({ limits, operational }: VmcpConfig): number {
  const starts = operational.sessions.maxGlobalBackendStartConcurrency;
  return Math.max(MIN_SOCKETS_PER_ORIGIN, limits.callsPerProcess + starts);
}
