import { onTestFinished } from "vitest";
import { createBackendConnector } from "../../../src/backend/connector.ts";
import type { BackendOptions } from "../../../src/backend/options.ts";
import type {
  BackendConnection,
  ConnectionListener,
  ConnectRequest,
} from "../../../src/backend/ports.ts";
import { HttpPools } from "../../../src/backend/streamable-http/http-pools.ts";
import type { CapabilitySet } from "../../../src/domain/capabilities.ts";
import type { VmcpError } from "../../../src/domain/errors.ts";
import { ANONYMOUS } from "../../../src/domain/identity.ts";
import { mintSessionId, parseBackendName } from "../../../src/domain/ids.ts";
import { SILENT_LOGGER } from "../../../src/domain/logger.ts";
import type { BackendMessage, OutboundRequest } from "../../../src/mcp/exchange.ts";
import type { RequestId } from "../../../src/mcp/json-rpc.ts";
import { startHttpBackend, type HttpBackend, type HttpScript } from "./http-backend.ts";

export const BACKEND = parseBackendName("b1");

export const CLIENT = {
  revision: "2025-11-25",
  capabilities: { roots: { listChanged: true }, elicitation: {} },
  info: { name: "some-client", version: "7" },
};

/** What a connection said without having been asked. */
export interface Heard extends ConnectionListener {
  readonly messages: BackendMessage[];
  readonly losses: VmcpError[];
}

export function createHeard(): Heard {
  const messages: BackendMessage[] = [];
  const losses: VmcpError[] = [];
  return {
    messages,
    losses,
    unsolicited: (message) => {
      messages.push(message);
    },
    lost: (error) => {
      losses.push(error);
    },
  };
}

export function connectRequest(
  listener: ConnectionListener,
  more: Partial<ConnectRequest> = {},
): ConnectRequest {
  const sessionId = mintSessionId();
  return { sessionId, identity: ANONYMOUS, client: CLIENT, listener, ...more };
}

export interface Connected extends AsyncDisposable {
  readonly connection: BackendConnection;
  readonly capabilities: CapabilitySet;
  readonly heard: Heard;
  readonly http: HttpPools;
}

/** Connects to an HTTP backend with pools of its own; disposing ends the connection and then the pools. */
export async function connectHttp(
  url: string,
  options: Partial<BackendOptions> = {},
): Promise<Connected> {
  const http = new HttpPools();
  const connector = createBackendConnector({
    name: BACKEND,
    transport: "streamable-http",
    url,
    http,
    logger: SILENT_LOGGER,
    ...options,
  });
  const heard = createHeard();
  const signal = new AbortController().signal;
  try {
    const opened = await connector.connect(connectRequest(heard), signal);
    return { ...opened, heard, http, [Symbol.asyncDispose]: dispose };

    async function dispose(): Promise<void> {
      await opened.connection[Symbol.asyncDispose]();
      await http[Symbol.asyncDispose]();
    }
  } catch (error) {
    await http[Symbol.asyncDispose]();
    throw error;
  }
}

/** Connects to a backend of that script; both end with the test. */
export async function connectTo(
  script: HttpScript,
  options: Partial<BackendOptions> = {},
): Promise<Connected & { readonly backend: HttpBackend }> {
  const backend = untilTestEnds(await startHttpBackend(script));
  const connected = untilTestEnds(await connectHttp(backend.url, options));
  return { ...connected, backend };
}

/** Has something disposed of when the test ends, before what was handed over earlier. */
export function untilTestEnds<Disposable extends AsyncDisposable>(
  disposable: Disposable,
): Disposable {
  onTestFinished(async () => disposable[Symbol.asyncDispose]());
  return disposable;
}

export async function connectStdio(
  args: readonly string[],
  options: Partial<BackendOptions> = {},
): Promise<Omit<Connected, "http">> {
  const connector = createBackendConnector({
    name: BACKEND,
    transport: "stdio",
    command: process.execPath,
    args,
    logger: SILENT_LOGGER,
    ...options,
  });
  const heard = createHeard();
  const opened = await connector.connect(connectRequest(heard), new AbortController().signal);
  return {
    ...opened,
    heard,
    [Symbol.asyncDispose]: async () => {
      await opened.connection[Symbol.asyncDispose]();
    },
  };
}

/** A `tools/call` as a client would send it. */
export function callOf(
  id: RequestId,
  name = "echo",
  more: { readonly progressToken?: RequestId; readonly timeoutMs?: number } = {},
): OutboundRequest {
  const { progressToken } = more;
  const meta = progressToken === undefined ? {} : { _meta: { progressToken } };
  const params = { name, arguments: {}, ...meta };
  const message = { jsonrpc: "2.0", id, method: "tools/call", params };
  return { id, method: "tools/call", bytes: Buffer.from(JSON.stringify(message)), ...more };
}
