import { z } from "zod";
import { countField, durationField, ignored } from "./fields.ts";

const timeouts = z
  .strictObject({
    default: durationField().prefault("120s").describe("For one call, at every backend."),
    perWorkload: z
      .record(z.string(), durationField())
      .default({})
      .describe("For one call, by name of the backend."),
  })
  .prefault({})
  .describe("How long calls may take; `backends[].timeouts.call` goes before both.");

const failureHandling = z
  .strictObject({
    healthCheckInterval: durationField().prefault("30s").describe("Between two probes."),
    unhealthyThreshold: countField(1)
      .default(3)
      .describe("Failed probes in a row until a backend counts as unhealthy."),
    healthCheckTimeout: durationField().prefault("10s").describe("For one probe."),
    partialFailureMode: z
      .enum(["fail", "best_effort"])
      .default("best_effort")
      .describe("`fail`: no session starts while a backend cannot."),
    statusReportingInterval: ignored(durationField().optional(), "Reports to Kubernetes."),
    circuitBreaker: z
      .strictObject({
        enabled: z.boolean().default(true).describe("Whether failing backends are left alone."),
        failureThreshold: countField(1)
          .default(5)
          .describe("Failures in a row after which calls fail at once instead of being tried."),
        timeout: durationField(1000)
          .prefault("60s")
          .describe("How long until one call or probe is let through to see."),
      })
      .prefault({})
      .describe("Fails fast while a backend fails; shared by all sessions."),
  })
  .prefault({})
  .describe("What happens when backends fail.");

const sessions = z
  .strictObject({
    idleTtl: durationField().prefault("30m").describe("Ends a session after this long unused."),
    unusedTtl: durationField()
      .prefault("5m")
      .describe("Ends a session after this long if its client asked for nothing but `initialize`."),
    absoluteTtl: durationField().prefault("24h").describe("Ends a session after this long."),
    maxSessions: countField(1)
      .optional()
      .describe("Sessions of this process; default `TOOLHIVE_MAX_SESSIONS`, else 1000."),
    maxSessionsPerIdentity: countField(1)
      .default(10)
      .describe("Sessions of one identified client. Anonymous clients are not told apart."),
    evictIdleAfter: durationField()
      .prefault("5m")
      .describe(
        "At `maxSessions`, a new session may take the place of one that was unused for this long.",
      ),
    startDeadline: durationField()
      .prefault("5s")
      .describe("How long the answer to `initialize` waits for backends; late ones join later."),
    drainDeadline: durationField()
      .prefault("25s")
      .describe("How long calls in flight may take when a session or the gateway ends."),
    shutdownGrace: durationField(0)
      .prefault("5s")
      .describe(
        "How long everything is served after SIGTERM, with `/readyz` at 503, so that balancers turn away first.",
      ),
    livenessMaxAge: ignored(durationField().optional(), "Age of what is known from a store."),
    maxBackendStartConcurrency: countField(1)
      .default(10)
      .describe("Backends that one session starts at once."),
    maxGlobalBackendStartConcurrency: countField(1)
      .default(64)
      .describe("Backends that all sessions start at once."),
  })
  .prefault({})
  .describe("How long sessions live and how many there may be.");

/** How the gateway runs. */
export const operationalSchema = z
  .strictObject({
    sessionManagementV2: z
      .boolean()
      .optional()
      .describe(
        "Give each client session its own backend sessions. Default false in a vmcp file, true for a client's file.",
      ),
    logLevel: z
      .enum(["debug", "info", "warn", "error"])
      .default("info")
      .describe("Least important messages that are logged."),
    timeouts,
    failureHandling,
    sessions,
  })
  .prefault({})
  .describe("How the gateway runs.");

export type OperationalInput = z.output<typeof operationalSchema>;
