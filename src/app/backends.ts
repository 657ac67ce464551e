import { readFile } from "node:fs/promises";
import { createBackendConnector, type BackendConnector } from "../backend/connector.ts";
import type { BackendOptions } from "../backend/options.ts";
import { createRequestScopedConnector } from "../backend/request-scoped.ts";
import type { HttpPools } from "../backend/streamable-http/http-pools.ts";
import type { BackendConfig, LimitsConfig } from "../config/vmcp-config.ts";
import { messageOf, VmcpError } from "../domain/errors.ts";
import type { Logger } from "../domain/logger.ts";
import type { ProbedBackend } from "../health/monitor.ts";
import type { SessionBackend } from "../session/backend-connection.ts";
import type { Catalogues } from "../session/catalogues.ts";

export interface AssembledBackend {
  readonly session: SessionBackend;
  readonly probed: ProbedBackend;
}

export interface BackendParts {
  readonly limits: LimitsConfig;
  readonly http: HttpPools;
  readonly logger: Logger;
  readonly catalogues: Catalogues;
  readonly version: string;
}

/** What a probe's lists are filed under: any client may be shown them until it has lists of its own. */
const PROBE_KIND = "probe";

/** Makes of one configured backend what sessions and the monitor need of it. Rejects with `invalid_config`. */
export async function assembleBackend(
  config: BackendConfig,
  parts: BackendParts,
): Promise<AssembledBackend> {
  const options = await toBackendOptions(config, parts);
  const connector: BackendConnector =
    config.isolation === "request"
      ? createRequestScopedConnector(options)
      : createBackendConnector(options);
  const { name } = config;
  return {
    session: { name, connect: async (request, signal) => connector.connect(request, signal) },
    probed: {
      name,
      isProbedAgain: config.transport !== "stdio",
      startTimeoutMs: config.timeouts.startMs,
      probe: async (signal) => {
        const { capabilities } = await connector.probe(signal);
        parts.catalogues.remember(name, PROBE_KIND, capabilities);
        return { toolCount: capabilities.tools.length };
      },
    },
  };
}

async function toBackendOptions(
  config: BackendConfig,
  { limits, http, logger, version }: BackendParts,
): Promise<BackendOptions> {
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
    return { ...common, command, args, env, cwd };
  }
  const { url, headers, caBundlePath } = config;
  const caBundle = caBundlePath && (await readBundle(config.name, caBundlePath));
  return { ...common, url, headers, http, ...(caBundle && { caBundle }) };
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
