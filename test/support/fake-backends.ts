import { createHash } from "node:crypto";
import type { Capability, CapabilityKind, CapabilitySet } from "../../src/domain/capabilities.ts";
import { parseBackendName } from "../../src/domain/ids.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import type { AnswerSink, OutboundRequest } from "../../src/mcp/exchange.ts";
import type { JsonRpcMessage } from "../../src/mcp/json-rpc.ts";
import type {
  BackendConnection,
  ConnectOutcome,
  ConnectRequest,
  SessionBackend,
} from "../../src/session/backend-connection.ts";

export interface FakeOptions {
  readonly tools?: readonly string[];
  readonly prompts?: readonly string[];
  readonly resources?: readonly string[];
  /** What a call is answered with. Default: an empty result. Never settling leaves the call in flight. */
  readonly answer?: (request: OutboundRequest, connection: FakeConnection) => Promise<JsonObject>;
  /** Runs before the connection is there; rejecting fails the attempt. */
  readonly beforeConnect?: (request: ConnectRequest, signal: AbortSignal) => Promise<void>;
  /** Changes what an attempt comes to. */
  readonly outcome?: (connected: ConnectOutcome) => ConnectOutcome;
  readonly onClose?: () => Promise<void>;
  readonly capabilities?: JsonObject;
}

export interface FakeConnection extends BackendConnection {
  readonly request: ConnectRequest;
  readonly received: readonly OutboundRequest[];
  readonly sinks: ReadonlyMap<string | number, AnswerSink>;
  readonly sent: readonly Buffer[];
  readonly cancelled: readonly (string | number)[];
  isClosed: boolean;
  /** What the backend lists from now on. */
  capabilitySet: CapabilitySet;
}

/** A backend as a port: no I/O, everything it sees is recorded. */
export interface FakeBackend extends SessionBackend {
  readonly connections: FakeConnection[];
}

export function fakeBackend(name: string, options: FakeOptions = {}): FakeBackend {
  const connections: FakeConnection[] = [];
  const backendName = parseBackendName(name);
  return {
    name: backendName,
    connections,
    async connect(request, signal) {
      await options.beforeConnect?.(request, signal);
      const connection = createConnection(backendName, request, options, connections.length + 1);
      connections.push(connection);
      const connected = { connection, capabilities: connection.capabilitySet };
      return options.outcome?.(connected) ?? connected;
    },
  };
}

function createConnection(
  backend: FakeConnection["backend"],
  request: ConnectRequest,
  options: FakeOptions,
  count: number,
): FakeConnection {
  const received: OutboundRequest[] = [];
  const sinks = new Map<string | number, AnswerSink>();
  const cancelled: (string | number)[] = [];
  const sent: Buffer[] = [];
  const connection: FakeConnection = {
    backend,
    backendSessionId: `${backend}-${count}`,
    request,
    received,
    sinks,
    cancelled,
    sent,
    isClosed: false,
    capabilitySet: request.knownCapabilities ?? capabilitySet(options),
    greeting: {
      revision: "2025-11-25",
      capabilities: options.capabilities ?? { tools: {} },
      serverInfo: { name: backend, version: "1" },
      instructions: undefined,
    },
    forward(outbound, sink) {
      received.push(outbound);
      sinks.set(outbound.id, sink);
      void answer(outbound, sink);
      return { cancel: () => void cancelled.push(outbound.id), pause() {}, resume() {} };
    },
    async send(bytes) {
      sent.push(bytes);
    },
    openNotifications() {},
    async listCapabilities() {
      return connection.capabilitySet;
    },
    async [Symbol.asyncDispose]() {
      connection.isClosed = true;
      await options.onClose?.();
    },
  };
  async function answer(outbound: OutboundRequest, sink: AnswerSink): Promise<void> {
    const result = (await options.answer?.(outbound, connection)) ?? { content: [] };
    sink.answer(message({ jsonrpc: "2.0", id: outbound.id, result }));
  }
  return connection;
}

export function message(value: JsonRpcMessage): { bytes: Buffer; message: JsonRpcMessage } {
  return { bytes: Buffer.from(JSON.stringify(value)), message: value };
}

export function capabilitySet({ tools, prompts, resources }: FakeOptions): CapabilitySet {
  const lists = {
    tools: (tools ?? []).map((name) => capability("tool", name, { inputSchema: TOOL_SCHEMA })),
    prompts: (prompts ?? []).map((name) => capability("prompt", name, {})),
    resources: (resources ?? []).map((uri) => capability("resource", uri, { name: uri })),
    resourceTemplates: [],
  };
  const hash = createHash("sha256").update(JSON.stringify(lists)).digest("hex");
  return { hash, ...lists };
}

const TOOL_SCHEMA: JsonObject = { type: "object", properties: {} };

function capability(kind: CapabilityKind, key: string, extra: JsonObject): Capability {
  const named: JsonObject = kind === "resource" ? { uri: key } : { name: key };
  const value: JsonObject = { ...named, description: `The ${kind} ${key}`, ...extra };
  return { kind, key, json: JSON.stringify(value), value };
}
