import { BackendSlots } from "../../src/session/backend-slots.ts";
import { DEFAULT_SETTINGS, type AggregationSettings } from "../../src/aggregation/settings.ts";
import { mintSessionId } from "../../src/domain/ids.ts";
import { Semaphore } from "../../src/lib/semaphore.ts";
import { NO_GUARD } from "../../src/session/backend-guard.ts";
import { CallLimits, NO_CALL_LIMITS } from "../../src/session/call-limits.ts";
import { Views } from "../../src/session/view.ts";
import { ANONYMOUS, type Identity } from "../../src/domain/identity.ts";
import { SILENT_LOGGER } from "../../src/domain/logger.ts";
import type { InboundRequest } from "../../src/mcp/inbound-message.ts";
import { DEFAULT_MESSAGE_LIMITS, parseInbound } from "../../src/mcp/inbound-message.ts";
import type { ClientProfile, SessionBackend } from "../../src/session/backend-connection.ts";
import { ADMIT_ALL } from "../../src/session/admission.ts";
import { NO_ARGUMENT_CHECK } from "../../src/session/argument-check.ts";
import { NO_POLICY } from "../../src/session/policy.ts";
import { ShownCapabilities } from "../../src/session/shown-capabilities.ts";
import { Catalogues } from "../../src/session/catalogues.ts";
import { LiveSession } from "../../src/session/live-session.ts";
import type {
  LiveSessionOptions,
  SessionConfiguration,
  SessionSurroundings,
} from "../../src/session/live-session-options.ts";
import {
  LiveSessionFactory,
  type FactoryOptions,
} from "../../src/session/multi-session-factory.ts";

export const CLIENT: ClientProfile = {
  revision: "2025-11-25",
  capabilities: {},
  info: { name: "test-client", version: "1" },
};

/** Names stay as they are unless two backends share one, so that tests read plainly. */
export const PLAIN_NAMES: AggregationSettings = {
  ...DEFAULT_SETTINGS,
  strategy: "prefixOnConflict",
};

export function createFactory(options: Partial<FactoryOptions> = {}): LiveSessionFactory {
  return new LiveSessionFactory({
    catalogues: new Catalogues(() => Date.now()),
    aggregation: PLAIN_NAMES,
    now: () => Date.now(),
    logger: SILENT_LOGGER,
    drainDeadlineMs: 100,
    ...options,
  });
}

export async function openSession(
  backends: readonly (SessionBackend | undefined)[],
  options: Partial<FactoryOptions> & { identity?: Identity; client?: ClientProfile } = {},
): Promise<LiveSession> {
  const { identity = ANONYMOUS, client = CLIENT, ...factoryOptions } = options;
  return createFactory(factoryOptions).makeSession(identity, backends, { client });
}

export function inboundRequest(
  id: number | string,
  method: string,
  params?: object,
): InboundRequest {
  const bytes = Buffer.from(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
  const parsed = parseInbound(bytes, DEFAULT_MESSAGE_LIMITS);
  if (parsed.kind !== "request") throw new Error(`not a request: ${bytes.toString()}`);
  return parsed;
}

/** A session with options of its own choice, for what a factory would never make. */
export function createLiveSession(
  options: Partial<LiveSessionOptions & SessionConfiguration & SessionSurroundings>,
): LiveSession {
  const around: SessionSurroundings = {
    catalogues: new Catalogues(() => Date.now()),
    backendSlots: new BackendSlots(64),
    processSlots: new Semaphore(1),
    callLimits: new CallLimits(NO_CALL_LIMITS),
    guardOf: () => NO_GUARD,
    now: () => Date.now(),
    logger: SILENT_LOGGER,
    ...options,
  };
  const configuration: SessionConfiguration = {
    backends: [],
    views: new Views(PLAIN_NAMES),
    maxStartConcurrency: 1,
    startTimeoutMs: 1_000,
    drainDeadlineMs: 100,
    clientAnswerTimeoutMs: 1_000,
    maxCallsInFlight: 16,
    argumentCheck: NO_ARGUMENT_CHECK,
    admission: ADMIT_ALL,
    shown: new ShownCapabilities(NO_POLICY),
    ...options,
  };
  return new LiveSession({
    id: mintSessionId(),
    number: 1,
    identity: ANONYMOUS,
    client: CLIENT,
    clientKind: "test",
    configuration,
    around,
    ...options,
  });
}
