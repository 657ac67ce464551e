import { readFile } from "node:fs/promises";
import type { OwnedCredentials } from "../auth/outgoing/create-credentials.ts";
import { createBackendConnector, type BackendConnector } from "../backend/connector.ts";
import type { AdjustableTimeouts, BackendOptions } from "../backend/options.ts";
import { createRequestScopedConnector } from "../backend/request-scoped.ts";
import type { HttpPools } from "../backend/streamable-http/http-pools.ts";
import type { BackendCapabilities } from "../aggregation/aggregate.ts";
import type { BackendConfig, LimitsConfig } from "../config/vmcp-config.ts";
import { messageOf, VmcpError } from "../domain/errors.ts";
import type { BackendName } from "../domain/ids.ts";
import type { Logger } from "../domain/logger.ts";
import type { ProbedBackend } from "../health/backend-watch.ts";
import { startUnder, type Breakers } from "../health/breakers.ts";
import type { CircuitBreaker } from "../health/circuit-breaker.ts";
import type { SessionBackend } from "../session/backend-connection.ts";
import type { LinkPolicy } from "../session/link-policy.ts";
import type { Catalogues } from "../session/catalogues.ts";
import type { OutgoingAuth } from "./outgoing-auth.ts";
import { serverIdOf } from "./server-id.ts";

export interface AssembledBackend {
  readonly session: SessionBackend;
  readonly probed: ProbedBackend;
  /** What proves requests to it, where something is held open for that. */
  readonly credentials: OwnedCredentials | undefined;
  /** Other time limits for calls and starts from now on, on connections that are open too. */
  readonly setTimeouts: (timeouts: AdjustableTimeouts) => void;
}

export interface BackendParts {
  readonly limits: LimitsConfig;
  readonly http: HttpPools;
  readonly logger: Logger;
  readonly catalogues: Catalogues;
  readonly breakers: Breakers;
  readonly outgoing: OutgoingAuth;
  /** Told when a user has connected to a backend that only users can ask anything. */
  readonly onReached: (backend: BackendName, toolCount: number) => void;
  readonly version: string;
  /** Told what a probe was listed, each time it was. */
  readonly onListed?: (source: BackendCapabilities) => void;
}

/** What a probe's lists are filed under: any client may be shown them until it has lists of its own. */
const PROBE_KIND = "probe";

/** Makes of one configured backend what sessions and the monitor need of it. Rejects with `invalid_config`. */
export async function assembleBackend(
  config: BackendConfig,
  parts: BackendParts,
): Promise<AssembledBackend> {
  const options = await toBackendOptions(config, parts);
  const { credentials } = options;
  const isPerUser = credentials?.isPerUser === true;
  const connector: BackendConnector =
    config.isolation === "request"
      ? createRequestScopedConnector(options)
      : createBackendConnector(options);
  const session = toSessionBackend(config, connector, parts.breakers);
  return {
    session: isPerUser ? reportingReach(session, parts.onReached) : session,
    probed: toProbed(config, connector, parts, credentials),
    credentials,
    setTimeouts: (timeouts) => connector.setTimeouts(timeouts),
  };
}

/** Where each session starts a process of its own, starts are what is refused while all of them fail. */
function toSessionBackend(
  config: BackendConfig,
  connector: BackendConnector,
  breakers: Breakers,
): SessionBackend {
  const { name, transport } = config;
  const known = { name, policy: toLinkPolicy(config), serverId: serverIdOf(config) };
  if (transport !== "stdio") {
    return { ...known, connect: (request, signal) => connector.connect(request, signal) };
  }
  let breaker: CircuitBreaker | undefined;
  return {
    ...known,
    connect: async (request, signal) => {
      // Kept from the first start on: after a reload the name may be another backend's.
      breaker ??= breakers.get(name);
      return startUnder(breaker, async () => connector.connect(request, signal));
    },
  };
}

/** Nothing but its uses tells how a backend is that nobody can ask anything without a user. */
function reportingReach(
  backend: SessionBackend,
  onReached: BackendParts["onReached"],
): SessionBackend {
  return {
    ...backend,
    connect: async (request, signal) => {
      const outcome = await backend.connect(request, signal);
      const { capabilities } = outcome;
      if (capabilities !== undefined) onReached(backend.name, capabilities.tools.length);
      return outcome;
    },
  };
}

/** Where each call has a connection of its own there is none to look after between calls. */
function toLinkPolicy(config: BackendConfig): LinkPolicy {
  const { timeouts, trustAnnotations } = config;
  const { keepaliveMs, idleMs } = timeouts;
  if (config.isolation === "request") return { trustsAnnotations: trustAnnotations };
  return {
    keepaliveMs,
    idleMs,
    trustsAnnotations: trustAnnotations,
    restart: config.transport === "stdio" ? config.restart : undefined,
  };
}

function toProbed(
  { name, transport, timeouts }: BackendConfig,
  connector: BackendConnector,
  { catalogues, onListed }: BackendParts,
  credentials: OwnedCredentials | undefined,
): ProbedBackend {
  const probe = connector.createProbe(() => catalogues.invalidate(name));
  let lastHash: string | undefined;
  return {
    name,
    startsProcess: transport === "stdio",
    perUser: perUserOf(credentials),
    startTimeoutMs: timeouts.startMs,
    probe: async (signal) => {
      const { capabilities, isNewlyListed, latencyMs } = await probe.look(signal);
      // What a session was offered by the backend as it was before is of no use to the next one.
      const hasChanged = lastHash !== undefined && lastHash !== capabilities.hash;
      if (hasChanged) catalogues.invalidate(name);
      if (isNewlyListed) {
        onListed?.({
          backend: name,
          capabilities: catalogues.remember(name, PROBE_KIND, capabilities),
        });
      }
      lastHash = capabilities.hash;
      return { toolCount: capabilities.tools.length, latencyMs };
    },
    close: async () => probe[Symbol.asyncDispose](),
  };
}

/** Who has not signed in does so when they like, and until then trying again is of no use. */
function perUserOf(credentials: OwnedCredentials | undefined): ProbedBackend["perUser"] {
  if (credentials?.isPerUser !== true) return undefined;
  return credentials.needsSignIn ? "waiting" : "retried";
}

async function toBackendOptions(
  config: BackendConfig,
  { limits, http, logger, outgoing, version }: BackendParts,
): Promise<BackendOptions & Pick<AssembledBackend, "credentials">> {
  const common = {
    name: config.name,
    transport: config.transport,
    timeouts: config.timeouts,
    revision: config.revision,
    limits: {
      responseBytes: limits.backendResponseBytes,
      sseEventBytes: limits.sseEventBytes,
      stdioLineBytes: limits.stdioLineBytes,
      toolsPerBackend: limits.toolsPerBackend,
      descriptionBytes: limits.descriptionBytes,
      schemaBytes: limits.schemaBytes,
      nameLength: limits.nameLength,
    },
    logger,
    clientInfo: { name: "vmcp-probe", version },
  };
  if (config.transport === "stdio") {
    const { command, args, env, cwd } = config;
    return { ...common, command, args, env, cwd, credentials: undefined };
  }
  const { url, headers, caBundlePath } = config;
  const caBundle = caBundlePath && (await readBundle(config.name, caBundlePath));
  const credentials = outgoing.credentialsFor(config, caBundle);
  return { ...common, url, headers, http, credentials, ...(caBundle && { caBundle }) };
}

async function readBundle(backend: string, path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new VmcpError(
      "invalid_config",
      `The caBundlePath of backend "${backend}" cannot be read: ${messageOf(error)}`,
      { cause: error },
    );
  }
}
