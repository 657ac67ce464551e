import { SILENT_LOGGER } from "../../domain/logger.ts";
import { DEFAULT_MESSAGE_LIMITS } from "../../mcp/inbound-message.ts";
import { edgeSession, SESSION_ID } from "../../gateway/testing/edge-session.ts";
import type { EdgeSession } from "../../session/edge-session.ts";
import { HttpHost, type HttpHostOptions, type HttpLimits } from "../http-host.ts";
import type { EdgeSessions } from "../rev-2025-11-25/sessions.ts";

const LIMITS: HttpLimits = {
  requestBytes: 64 * 1024,
  headerBytes: 16 * 1024,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 40_000,
  keepAliveTimeoutMs: 5_000,
  maxConnections: 1_000,
  streamBufferBytes: 64 * 1024,
};

export interface TestHost extends AsyncDisposable {
  readonly host: HttpHost;
  /** Of the MCP endpoint. */
  readonly url: string;
}

export interface TestHostOptions extends Partial<Omit<HttpHostOptions, "limits" | "sessions">> {
  readonly limits?: Partial<HttpLimits>;
  readonly sessions?: Partial<EdgeSessions>;
  /** What the one session does that is there from the start. */
  readonly session?: Partial<EdgeSession>;
}

/** The HTTP edge alone, on a free port, in front of one session that does what the test says. */
export async function startHost(options: TestHostOptions = {}): Promise<TestHost> {
  const { limits, sessions, session, ...rest } = options;
  const host = new HttpHost({
    host: "127.0.0.1",
    port: 0,
    path: "/mcp",
    allowedHosts: [],
    allowedOrigins: [],
    messageLimits: DEFAULT_MESSAGE_LIMITS,
    serverInfo: { name: "test", version: "0" },
    status: () => ({}),
    isReady: () => true,
    logger: SILENT_LOGGER,
    ...rest,
    limits: { ...LIMITS, ...limits },
    sessions: { ...sessionsWith(edgeSession(session)), ...sessions },
  });
  const url = await host.listen();
  return { host, url, [Symbol.asyncDispose]: async () => host[Symbol.asyncDispose]() };
}

function sessionsWith(session: EdgeSession): EdgeSessions {
  return {
    generate: async () => SESSION_ID,
    createSession: async () => session,
    getMultiSession: (id) => (id === SESSION_ID ? session : undefined),
    whenReady: async () => session,
    terminate: async () => {},
  };
}

/** The headers of a request of the session. */
export const SESSION_HEADERS = {
  "content-type": "application/json",
  accept: "application/json, text/event-stream",
  "mcp-session-id": SESSION_ID,
} as const;

/** A promise that the test settles. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
}

export function deferred<T>(): Deferred<T> {
  const resolvers: ((value: T) => void)[] = [];
  const promise = new Promise<T>((resolve) => void resolvers.push(resolve));
  return { promise, resolve: (value) => resolvers[0]?.(value) };
}
