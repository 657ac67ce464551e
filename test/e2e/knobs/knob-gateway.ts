import { expect } from "vitest";
import { createVmcp } from "../../../src/app/create-vmcp.ts";
import type { VmcpConfigInput } from "../../../src/config/load-config.ts";
import type { JsonObject } from "../../../src/domain/json.ts";
import type { Gateway } from "../../support/gateway.ts";
import type { LedgerBackend } from "../../support/scripted-backend.ts";
import { waitFor } from "../../support/quiescence.ts";
import { lastMessage, sendRaw, type RawSession } from "../../support/raw-client.ts";

/**
 * Starts a gateway on a free loopback port, with session-scoped connections, plain names, a short drain and
 * patience at the start, unless the configuration says otherwise. `env` is all that references find.
 */
export async function startKnobs(
  input: VmcpConfigInput,
  env: Readonly<Record<string, string>> = {},
): Promise<Gateway> {
  const { aggregation, operational, server } = input;
  const config = {
    ...input,
    aggregation: { conflictResolution: "prefixOnConflict" as const, ...aggregation },
    operational: {
      sessionManagementV2: true,
      ...operational,
      sessions: { drainDeadline: "50ms", startDeadline: "15s", ...operational?.sessions },
    },
    server: { port: 0, ...server },
  };
  const vmcp = await createVmcp(config, { env });
  const url = await vmcp.listen();
  return { url, vmcp, [Symbol.asyncDispose]: async () => vmcp.close() };
}

/** For polls: how long a busy machine may take for what takes no time. */

/** What the status page says. */
export async function statusOf({ url }: Gateway): Promise<JsonObject> {
  const { text } = await sendRaw(new URL("/status", url).href);
  // The page is a JSON object.
  return JSON.parse(text) as JsonObject;
}

export interface BackendStatus {
  readonly name: string;
  readonly transport: string;
  readonly state: string;
  readonly reason?: string;
}

/** What the status page says of the first backend, once every backend was probed. */
export async function probedStatusOf(gateway: Gateway): Promise<BackendStatus> {
  await gateway.vmcp.probed();
  // A probe that failed while this process stalled proves nothing and is repeated.
  await expect.poll(async () => (await backendStatusOf(gateway)).state).not.toBe("unknown");
  return backendStatusOf(gateway);
}

/** What the status page says of the first backend now. */
export async function backendStatusOf(gateway: Gateway): Promise<BackendStatus> {
  const { backends } = await statusOf(gateway);
  // The page lists every configured backend in this shape.
  const [first] = backends as unknown as readonly BackendStatus[];
  if (first === undefined) throw new Error("the status page lists no backend");
  return first;
}

/** The part of a JSON-RPC answer that tests look at. */
export interface Answer {
  readonly result?: JsonObject & {
    readonly content?: readonly { readonly text?: string }[];
  };
  readonly error?: {
    readonly code: number;
    readonly message: string;
    readonly data?: JsonObject;
  };
}

export async function ask(
  session: RawSession,
  method: string,
  params: JsonObject = {},
): Promise<Answer> {
  // Every answer to a request has this shape.
  return (await session.request(method, params)) as Answer;
}

export async function call(
  session: RawSession,
  name: string,
  args: JsonObject = {},
): Promise<Answer> {
  return ask(session, "tools/call", { name, arguments: args });
}

/** The text of the first content block. */
export async function callText(
  session: RawSession,
  name: string,
  args: JsonObject = {},
): Promise<string | undefined> {
  const { result } = await call(session, name, args);
  return result?.content?.[0]?.text;
}

/** The entries of a list, as the client sees them. */
export async function listOf(
  session: RawSession,
  method: string,
  member: string,
): Promise<readonly JsonObject[]> {
  const { result } = await ask(session, method);
  // A list result holds an array of objects.
  return result?.[member] as unknown as readonly JsonObject[];
}

export async function toolNamesOf(session: RawSession): Promise<readonly unknown[]> {
  const tools = await listOf(session, "tools/list", "tools");
  return tools.map((tool) => tool["name"]);
}

let hanging = 0;

/** Starts a call that never ends by itself and resolves once the backend has it. */
export async function startHanging(
  session: RawSession,
  backend: LedgerBackend,
  name = "hang",
): Promise<void> {
  hanging += 1;
  const before = backend.ledger.calls.length;
  // Nobody reads the answer, which is cut when the gateway closes.
  void session.post(toolCall(`hanging-${hanging}`, name)).catch(() => {});
  await waitFor(() => backend.ledger.calls.length > before, { what: "the backend has the call" });
}

/** A call as a client sends it. */
function toolCall(id: string, name: string, args: JsonObject = {}): JsonObject {
  return { jsonrpc: "2.0", id, method: "tools/call", params: { name, arguments: args } };
}

export interface StatusAndAnswer {
  readonly status: number;
  readonly answer: Answer;
}

/** Calls a tool and returns the HTTP status too. */
export async function postCall(
  session: RawSession,
  name: string,
  args: JsonObject = {},
): Promise<StatusAndAnswer> {
  hanging += 1;
  const posted = await session.post(toolCall(`posted-${hanging}`, name, args));
  // Every answer to a request has this shape.
  return { status: posted.status, answer: lastMessage(posted) as Answer };
}

/** An entry of `tools/list`, as JSON text. */
export function toolEntry(name: string, more: JsonObject = {}): string {
  return JSON.stringify({ name, inputSchema: { type: "object" }, ...more });
}

export const INITIALIZE: JsonObject = {
  jsonrpc: "2.0",
  id: 0,
  method: "initialize",
  params: {
    protocolVersion: "2025-11-25",
    capabilities: {},
    clientInfo: { name: "raw-client", version: "1.0.0" },
  },
};

/** How often a client's session, and not a probe of the gateway's own, has greeted the backend. */
export function clientGreetings(backend: LedgerBackend): number {
  return backend.ledger.initializes.filter(({ text }) => !text.includes("vmcp-probe")).length;
}
