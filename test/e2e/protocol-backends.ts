import type { JsonObject } from "../../src/domain/json.ts";
import type { VmcpConfigInput } from "../../src/config/load-config.ts";
import { startHttpLedger, type HttpLedger } from "../support/ledger-backend.ts";
import type { LedgerScript } from "../support/ledger-script.ts";
import {
  startStdioLedger,
  type ChildFlag,
  type LedgerChild,
  type StdioLedger,
} from "../support/ledger-stdio.ts";
import { waitFor } from "../support/quiescence.ts";
import {
  lastMessage,
  postMessage,
  startRaw,
  type RawAnswer,
  type RawSession,
} from "../support/raw-client.ts";
import type { LedgerBackend } from "../support/scripted-backend.ts";
import type { ScriptedSession } from "../support/scripted-session.ts";

type BackendEntry = NonNullable<VmcpConfigInput["backends"]>[number];

/** A ledger backend, whatever carries its messages, and how a gateway is told of it. */
export interface TestBackend extends AsyncDisposable {
  readonly backend: LedgerBackend;
  entry(name?: string): BackendEntry;
  /** Resolves when the backend can speak unasked to this many sessions, each of which has opened its GET stream. */
  canSpeakTo(sessions: number): Promise<void>;
}

type StartBackend = (script?: Partial<LedgerScript>) => Promise<TestBackend>;

/** What is shown of a backend holds over both transports. */
export const BACKENDS: readonly (readonly [string, StartBackend])[] = [
  ["HTTP", async (script) => startHttp(script)],
  ["stdio", async (script) => startStdio(script)],
];

export async function startHttp(
  script: Partial<LedgerScript> = {},
): Promise<TestBackend & { readonly backend: HttpLedger }> {
  const backend = await startHttpLedger(script);
  return {
    backend,
    entry: (name = "b") => ({ name, url: backend.url }),
    canSpeakTo: async (sessions) => void (await waitFor(() => backend.openStreams === sessions)),
    [Symbol.asyncDispose]: async () => backend.close(),
  };
}

export async function startStdio(
  script: Partial<LedgerScript> = {},
  flags: readonly ChildFlag[] = [],
): Promise<TestBackend & { readonly backend: StdioLedger }> {
  const backend = await startStdioLedger(script, flags);
  return {
    backend,
    entry: (name = "b") => ({ name, command: backend.command, args: [...backend.args] }),
    canSpeakTo: async () => {},
    [Symbol.asyncDispose]: async () => backend.close(),
  };
}

/** A call of a tool as the message that asks for it. */
export function toolCall(
  id: number | string,
  name: string,
  args: JsonObject = {},
  progressToken?: number | string,
): JsonObject {
  const meta = progressToken === undefined ? {} : { _meta: { progressToken } };
  return { jsonrpc: "2.0", id, method: "tools/call", params: { name, arguments: args, ...meta } };
}

/** The text of the first content block of the answer to a call. */
export function answerText(answer: unknown): string {
  // The ledger's tools answer with one text block.
  const { result } = answer as { readonly result?: { readonly content: [{ text: string }] } };
  return result?.content[0].text ?? `no result: ${JSON.stringify(answer)}`;
}

export async function callText(
  session: RawSession,
  name: string,
  args: JsonObject = {},
): Promise<string> {
  return answerText(await session.request("tools/call", { name, arguments: args }));
}

/** The backend's own session behind a client's session. */
export async function backendSessionOf(
  { backend }: TestBackend,
  session: RawSession,
  whoami = "whoami",
): Promise<ScriptedSession> {
  const tag = (await callText(session, whoami)).split(" ")[1];
  const found = backend.sessions.find((candidate) => candidate.tag === tag);
  if (found === undefined) throw new Error(`the backend has no session ${tag}`);
  return found;
}

/** The child behind a client's session: probes start some, too. */
export async function childOf(
  backend: TestBackend & { readonly backend: StdioLedger },
  session: RawSession,
  whoami = "whoami",
): Promise<LedgerChild> {
  const own = await backendSessionOf(backend, session, whoami);
  const child = backend.backend.children.find((candidate) => candidate.session === own);
  if (child === undefined) throw new Error("the session has no child");
  return child;
}

/** Everything that came on a stream so far. */
export function messagesOn(stream: RawAnswer): readonly JsonObject[] {
  return stream.events.map((data) => JSON.parse(data));
}

export function methodsOn(stream: RawAnswer): readonly unknown[] {
  return messagesOn(stream).map((message) => message["method"]);
}

/** Waits for a message on any of the streams. */
export async function messageOn(
  streams: readonly RawAnswer[],
  isWanted: (message: JsonObject) => boolean,
): Promise<JsonObject> {
  return waitFor(() => streams.flatMap(messagesOn).find(isWanted), { what: "a message" });
}

/** Waits for a request of a backend. */
export async function requestOn(
  streams: readonly RawAnswer[],
  method: string,
): Promise<JsonObject & { readonly id: string }> {
  const request = await messageOn(
    streams,
    (message) => message["method"] === method && message["id"] !== undefined,
  );
  // The gateway's ids are texts.
  return request as JsonObject & { readonly id: string };
}

/** The methods of the messages that clients' sessions sent to the backend, in order. */
export function methodsAt({ backend }: TestBackend, session: ScriptedSession): readonly string[] {
  return backend.ledger.messages
    .filter((message) => message.session === session.tag)
    .flatMap(({ method }) => method ?? []);
}

export async function lastMessageOf(answer: RawAnswer): Promise<unknown> {
  await answer.ended;
  return lastMessage(answer);
}

/** What `initialize` is sent with. */
export function initializeMessage(
  protocolVersion: string,
  capabilities: JsonObject = {},
): JsonObject {
  const clientInfo = { name: "raw-client", version: "1.0.0" };
  const params = { protocolVersion, capabilities, clientInfo };
  return { jsonrpc: "2.0", id: 0, method: "initialize", params };
}

/** A session whose client has not said that it is initialized. */
export async function openSilently(
  url: string,
  capabilities: JsonObject,
): Promise<Pick<RawSession, "post" | "openStream">> {
  const answer = await postMessage(url, initializeMessage("2025-11-25", capabilities));
  const headers = { "mcp-session-id": String(answer.headers["mcp-session-id"]) };
  return {
    post: async (message) => postMessage(url, message, headers),
    openStream: async () => startRaw(url, { headers: { ...headers, accept: "text/event-stream" } }),
  };
}
