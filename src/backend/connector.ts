import type { BackendGreeting, CapabilitySet } from "../domain/capabilities.ts";
import { VmcpError } from "../domain/errors.ts";
import type { JsonObject } from "../domain/json.ts";
import { isSessionfulRevision, SESSIONFUL_REVISIONS } from "../mcp/revisions.ts";
import { openConnection } from "./open-connection.ts";
import { toSettings, type BackendOptions, type BackendSettings } from "./options.ts";
import type { ConnectOutcome, ConnectRequest } from "./ports.ts";
import { SseChannel } from "./sse/sse-channel.ts";
import { toCommand } from "./stdio/command.ts";
import { StdioChannel } from "./stdio/stdio-channel.ts";
import { toEndpoint, type Endpoint } from "./streamable-http/endpoint.ts";
import { HttpChannel } from "./streamable-http/http-channel.ts";
import { Transports, type OpenChannel } from "./transports.ts";

/** What a backend says of itself and offers, as a look without a client finds it. */
export interface ProbeResult {
  readonly greeting: BackendGreeting;
  readonly capabilities: CapabilitySet;
}

/** How to reach one configured backend, as often as there are sessions. */
export interface BackendConnector {
  /**
   * Opens, initializes and lists. Rejects with a `VmcpError` (or the signal's reason) once everything that
   * was opened is closed again.
   */
  connect(request: ConnectRequest, signal: AbortSignal): Promise<ConnectOutcome>;
  /** Does the same in the gateway's own name, without client capabilities, and closes at once. */
  probe(signal: AbortSignal): Promise<ProbeResult>;
}

/**
 * Makes the connector of one backend, each of whose connections is a backend session of its own.
 *
 * Checks the options now and opens nothing yet. Throws `unsupported_transport` for a transport that it does
 * not know, and `invalid_config` for options that its transport cannot use.
 */
export function createBackendConnector(options: BackendOptions): BackendConnector {
  const settings = toSettings(options);
  const transports = toTransports(settings);
  return {
    connect: async (request, signal) => openConnection(transports, settings, request, signal),
    probe: async (signal) => probe(transports, settings, signal),
  };
}

/** How channels to this backend are opened. Checks the options; opens nothing yet. */
export function toTransports(settings: BackendSettings): Transports {
  checkRevision(settings);
  switch (settings.transport) {
    case "streamable-http":
    case "streamable":
      return new Transports(toHttpOpener(settings, toEndpoint(settings)));
    case "sse":
      return new Transports(toSseOpener(settings, toEndpoint(settings)));
    case "auto": {
      const endpoint = toEndpoint(settings);
      const [http, sse] = [toHttpOpener(settings, endpoint), toSseOpener(settings, endpoint)];
      return SSE_PATH.test(endpoint.url.pathname)
        ? new Transports(sse, http)
        : new Transports(http, sse);
    }
    case "stdio": {
      const command = toCommand(settings);
      return new Transports((listener) => new StdioChannel(settings, command, listener));
    }
    default:
      throw new VmcpError(
        "unsupported_transport",
        `Backend "${settings.name}": transport "${settings.transport.slice(0, 64)}" is not supported; ` +
          'use "streamable-http", "sse", "auto" or "stdio"',
      );
  }
}

/** By custom, not by any specification: what answers there speaks the transport of 2024-11-05. */
const SSE_PATH = /\/sse\/?$/;

function toHttpOpener(settings: BackendSettings, endpoint: Endpoint): OpenChannel {
  return (listener) => new HttpChannel(settings, endpoint, listener);
}

function toSseOpener(settings: BackendSettings, endpoint: Endpoint): OpenChannel {
  return (listener) => new SseChannel(settings, endpoint, listener);
}

/** Connects in the gateway's own name, closes again, and says what was found. */
export async function probe(
  transports: Transports,
  settings: BackendSettings,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const client = { capabilities: {}, info: settings.clientInfo ?? PROBE_INFO };
  const request = { client, listener: DEAF_LISTENER };
  const { connection, capabilities } = await openConnection(transports, settings, request, signal);
  await connection[Symbol.asyncDispose]();
  return { greeting: connection.greeting, capabilities };
}

const PROBE_INFO: JsonObject = { name: "vmcp-probe", version: "0" };

const DEAF_LISTENER = { unsolicited() {}, lost() {} };

function checkRevision({ name, revision = "auto" }: BackendSettings): void {
  if (revision === "auto" || isSessionfulRevision(revision)) return;
  throw new VmcpError(
    "invalid_config",
    `Backend "${name}": revision "${revision.slice(0, 32)}" is not spoken towards backends; ` +
      `use auto, ${SESSIONFUL_REVISIONS.join(", ")}`,
  );
}
