import { VmcpError } from "../domain/errors.ts";
import {
  isSessionfulRevision,
  SESSIONFUL_REVISIONS,
  STATELESS_REVISION,
} from "../mcp/revisions.ts";
import { openConnection } from "./open-connection.ts";
import { createPassingProbe, StandingProbe, type BackendProbe } from "./probe.ts";
import {
  toSettings,
  type AdjustableTimeouts,
  type BackendOptions,
  type BackendSettings,
} from "./options.ts";
import type { ConnectOutcome, ConnectRequest } from "./ports.ts";
import { SseChannel } from "./sse/sse-channel.ts";
import { toCommand } from "./stdio/command.ts";
import { StdioChannel } from "./stdio/stdio-channel.ts";
import { toEndpoint, type Endpoint } from "./streamable-http/endpoint.ts";
import { HttpChannel } from "./streamable-http/http-channel.ts";
import { provenEndpoint } from "./streamable-http/proven-requests.ts";
import { Transports, type OpenChannel, type Principal } from "./transports.ts";

/** How to reach one configured backend, as often as there are sessions. */
export interface BackendConnector {
  /**
   * Opens, initializes and lists. Rejects with a `VmcpError` (or the signal's reason) once everything that
   * was opened is closed again.
   */
  connect(request: ConnectRequest, signal: AbortSignal): Promise<ConnectOutcome>;
  /**
   * A probe of its own for the caller, who closes it. Over HTTP it keeps one session with the backend, unless
   * nothing is to be kept open between requests; otherwise each look opens, lists and closes. `onListsChanged`
   * is called as often as the backend says so.
   */
  createProbe(onListsChanged?: () => void): BackendProbe;
  /** Other time limits for calls and starts from now on, on connections that are open too. */
  setTimeouts(timeouts: AdjustableTimeouts): void;
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
    connect: (request, signal) => openConnection(transports, settings, request, signal),
    setTimeouts: (timeouts) => void Object.assign(settings.timeouts, timeouts),
    createProbe: (onListsChanged = () => {}) => {
      const parts = { transports, settings, onListsChanged };
      return settings.transport === "stdio" ? createPassingProbe(parts) : new StandingProbe(parts);
    },
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
      const http = toHttpOpener(settings, endpoint);
      // The older transport has nothing but sessions.
      if (settings.revision === STATELESS_REVISION) return new Transports(http);
      const sse = toSseOpener(settings, endpoint);
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
  return (listener, principal) =>
    new HttpChannel(settings, endpointFor(settings, endpoint, principal), listener);
}

function toSseOpener(settings: BackendSettings, endpoint: Endpoint): OpenChannel {
  return (listener, principal) =>
    new SseChannel(settings, endpointFor(settings, endpoint, principal), listener);
}

function endpointFor(
  { credentials }: BackendSettings,
  endpoint: Endpoint,
  principal: Principal,
): Endpoint {
  return credentials === undefined ? endpoint : provenEndpoint(endpoint, credentials, principal);
}

function checkRevision({ name, revision = "auto", transport }: BackendSettings): void {
  if (revision === STATELESS_REVISION && transport === "sse") {
    throw new VmcpError(
      "invalid_config",
      `Backend "${name}": revision ${revision} cannot be spoken over transport "sse"; use streamable-http`,
    );
  }
  if (revision === "auto" || revision === STATELESS_REVISION || isSessionfulRevision(revision))
    return;
  throw new VmcpError(
    "invalid_config",
    `Backend "${name}": revision "${revision.slice(0, 32)}" is not spoken towards backends; ` +
      `use auto, ${[...SESSIONFUL_REVISIONS, STATELESS_REVISION].join(", ")}`,
  );
}
