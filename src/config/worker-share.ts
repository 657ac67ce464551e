import type { TokenBucketConfig, VmcpConfig } from "./vmcp-config.ts";

/**
 * The configuration of one of several processes: what limits the gateway as a whole is divided, so that all of them
 * together keep to what the file says; each has at least 1 of everything. What limits one session, one client, one
 * request or one file is the same in each.
 */
export function workerShareOf(config: VmcpConfig, index: number, count: number): VmcpConfig {
  const share = (total: number): number =>
    Math.max(1, Math.floor(total / count) + (index < total % count ? 1 : 0));
  const { limits, operational, backends, rateLimiting } = config;
  const shareOf = (bucket: TokenBucketConfig | undefined): TokenBucketConfig | undefined =>
    bucket && { ...bucket, maxTokens: share(bucket.maxTokens) };
  const { sessions } = operational;
  return {
    ...config,
    backends: backends.map((backend) => ({
      ...backend,
      maxConcurrentCalls: share(backend.maxConcurrentCalls),
    })),
    rateLimiting: {
      ...rateLimiting,
      shared: shareOf(rateLimiting.shared),
      tools: rateLimiting.tools.map((tool) => ({ ...tool, shared: shareOf(tool.shared) })),
    },
    limits: {
      ...limits,
      callsPerProcess: share(limits.callsPerProcess),
      maxConnections: limits.maxConnections && share(limits.maxConnections),
    },
    operational: {
      ...operational,
      sessions: {
        ...sessions,
        maxSessions: share(sessions.maxSessions),
        maxGlobalBackendStartConcurrency: share(sessions.maxGlobalBackendStartConcurrency),
      },
    },
  };
}
