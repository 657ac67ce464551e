import type { BackendGreeting, CapabilitySet } from "../domain/capabilities.ts";
import { VmcpError } from "../domain/errors.ts";
import { STATELESS_REVISION } from "../mcp/revisions.ts";
import { createAsk } from "./ask.ts";
import { Connection } from "./connection.ts";
import { shakeHands } from "./handshake.ts";
import type { HeldListener } from "./held-listener.ts";
import { backendError } from "./node-errors.ts";
import type { BackendSettings } from "./options.ts";
import type { BackendConnection, Channel, ClientProfile, ConnectionListener } from "./ports.ts";
import type { JsonRpcMessage } from "../mcp/json-rpc.ts";
import type { StartTime } from "./start-time.ts";
import { discover, MAX_DISCOVERIES, type Discovery } from "./stateless/discover.ts";
import { StatelessConnection } from "./stateless/stateless-connection.ts";
import { StatelessWire } from "./stateless/stateless-wire.ts";

/** A connection that the gateway can ask for itself as well. */
export interface GreetedConnection extends BackendConnection {
  /** Sends a request of the gateway's own, without parameters; resolves with the answer, result or error. */
  ask(method: string, signal: AbortSignal): Promise<JsonRpcMessage>;
}

export interface Opened {
  readonly connection: GreetedConnection;
  readonly capabilities: CapabilitySet;
}

/**
 * How a backend is greeted: by `initialize`; by asking for its revisions, and by `initialize` if it turns out to
 * speak only those with sessions; or by asking alone.
 */
export type Greeting = "initialize" | "ask" | "askOnly";

export interface GreetParts {
  readonly channel: Channel;
  /** What the channel tells of its own accord. */
  readonly held: HeldListener;
  readonly settings: BackendSettings;
  readonly client: Pick<ClientProfile, "capabilities" | "info">;
  readonly listener: ConnectionListener;
  /** Given, no list is fetched. */
  readonly knownCapabilities?: CapabilitySet | undefined;
  readonly logLevel?: string | undefined;
  readonly time: StartTime;
}

/** Of the time to start, the part that a backend has to answer a question that it may not know. */
const ASKING_SHARE = 0.5;
const MAX_ASKING_MS = 5_000;

/**
 * Greets a backend on a new channel and lists what it offers. Undefined where the backend did not say which family of
 * revisions it speaks and the channel is of no more use: some programs end when they are asked before `initialize`.
 */
export function greet(parts: GreetParts, way: Greeting): Promise<Opened | undefined> {
  return way === "initialize" || parts.channel.standalone === undefined
    ? greetBySession(parts)
    : greetByAsking(parts, way);
}

async function greetByAsking(parts: GreetParts, way: Greeting): Promise<Opened | undefined> {
  const { channel, settings, time } = parts;
  const wire = new StatelessWire(channel, parts.client);
  const ask = createAsk(wire, (message) => parts.held.unsolicited(message));
  const found = await discover(ask, settings, askingMs(settings), time.end.signal);
  if (found.family === "stateless") {
    settings.spoken.confirm("stateless");
    wire.setLogLevel(parts.logLevel);
    return openStateless(parts, wire, found.greeting);
  }
  const isCertain = settings.spoken.known === "stateless" && found.family === "unclear";
  if (way === "askOnly" || settings.spoken.isPinned || isCertain)
    throw notStateless(settings, found);
  const opened =
    channel.standalone === "stdio" && found.family === "unclear"
      ? await greetUnlessEnded(parts, found.error)
      : await greetBySession(parts, MAX_DISCOVERIES);
  if (opened !== undefined) settings.spoken.confirm("sessionful");
  return opened;
}

/** Who is known to have an answer is given the time to start that everything has. */
function askingMs({ spoken, timeouts }: BackendSettings): number {
  if (spoken.known === "stateless") return timeouts.startMs;
  return Math.min(timeouts.startMs * ASKING_SHARE, MAX_ASKING_MS);
}

/** A program that has not answered in time may only be slow to start. Undefined where it has ended, then or now. */
async function greetUnlessEnded(
  parts: GreetParts,
  unclear: VmcpError,
): Promise<Opened | undefined> {
  if (unclear.code !== "backend_timeout") return undefined;
  try {
    return await greetBySession(parts, MAX_DISCOVERIES);
  } catch (thrown) {
    if (!parts.time.end.isAborted && VmcpError.from(thrown).code === "backend_closed")
      return undefined;
    throw thrown;
  }
}

/** `asked` is how many questions the channel may have carried before: a late answer must not pass for this one. */
async function greetBySession(parts: GreetParts, asked = 0): Promise<Opened> {
  const { channel, held, settings, knownCapabilities, time } = parts;
  const greeting = await shakeHands(parts, asked);
  const connection = new Connection(channel, held, greeting, settings);
  const capabilities = knownCapabilities ?? (await connection.listCapabilities(time.end.signal));
  return { connection, capabilities };
}

async function openStateless(
  { channel, held, settings, listener, knownCapabilities, time }: GreetParts,
  wire: StatelessWire,
  greeting: BackendGreeting,
): Promise<Opened> {
  const ask = createAsk(wire, () => {}, MAX_DISCOVERIES);
  const connection = new StatelessConnection({ channel, wire, ask, greeting, settings, listener });
  held.divert({
    unsolicited: (message) => connection.receive(message),
    lost: (error) => listener.lost(error),
  });
  if (knownCapabilities === undefined) {
    return { connection, capabilities: await connection.listCapabilities(time.end.signal) };
  }
  wire.useTools(knownCapabilities.tools);
  return { connection, capabilities: knownCapabilities };
}

function notStateless({ name }: BackendSettings, found: Discovery): VmcpError {
  if (found.family === "unclear") return found.error;
  const sentence = `does not speak revision ${STATELESS_REVISION} of MCP`;
  return backendError(name, "backend_protocol", sentence, { executionState: "not_executed" });
}
