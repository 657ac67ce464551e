import type { CapabilitySet } from "../domain/capabilities.ts";
import { DEADLINES } from "../lib/deadlines.ts";
import { createAsk } from "./ask.ts";
import { Connection } from "./connection.ts";
import { shakeHands } from "./handshake.ts";
import { HeldListener } from "./held-listener.ts";
import { backendError } from "./node-errors.ts";
import type { BackendSettings } from "./options.ts";
import type { Channel, ClientProfile, ConnectionListener } from "./ports.ts";
import type { OpenChannel, Transports } from "./transports.ts";

/** What a new connection is for: who is behind it, who listens, and whether lists are needed. */
export interface OpenRequest {
  readonly client: Pick<ClientProfile, "capabilities" | "info">;
  readonly listener: ConnectionListener;
  /** Given, no list is fetched. */
  readonly knownCapabilities?: CapabilitySet;
}

export interface Opened {
  readonly connection: Connection;
  readonly capabilities: CapabilitySet;
}

/**
 * Opens a channel, greets the backend and fetches its lists, all within `startMs`. Where the backend turns out
 * not to speak a transport, the next one is tried in what is left of that time.
 *
 * If any of it fails or the signal aborts, everything that was opened is closed before this rejects. The
 * listener hears nothing before this has resolved and those who wait for it have run.
 */
export async function openConnection(
  transports: Transports,
  settings: BackendSettings,
  request: OpenRequest,
  signal: AbortSignal,
): Promise<Opened> {
  signal.throwIfAborted();
  const attempt = new AbortController();
  const giveUp = (): void => attempt.abort(signal.reason);
  signal.addEventListener("abort", giveUp, { once: true });
  const deadline = DEADLINES.add(settings.timeouts.startMs, () => {
    attempt.abort(startError(settings));
  });
  try {
    return await transports.tryEach(async (openChannel) => {
      attempt.signal.throwIfAborted();
      return openBy(openChannel, settings, request, attempt.signal);
    });
  } finally {
    deadline.cancel();
    signal.removeEventListener("abort", giveUp);
  }
}

async function openBy(
  openChannel: OpenChannel,
  settings: BackendSettings,
  request: OpenRequest,
  signal: AbortSignal,
): Promise<Opened> {
  const listener = new HeldListener(request.listener);
  const channel = openChannel(listener);
  try {
    const opened = await greet(channel, listener, settings, request, signal);
    listener.releaseSoon();
    return opened;
  } catch (thrown) {
    listener.drop();
    await channel[Symbol.asyncDispose]();
    throw thrown;
  }
}

async function greet(
  channel: Channel,
  listener: ConnectionListener,
  settings: BackendSettings,
  request: OpenRequest,
  signal: AbortSignal,
): Promise<Opened> {
  const ask = createAsk(channel, (message) => listener.unsolicited(message));
  const greeting = await shakeHands(channel, ask, settings, request.client, signal);
  const connection = new Connection(channel, ask, greeting, settings);
  const capabilities = request.knownCapabilities ?? (await connection.listCapabilities(signal));
  return { connection, capabilities };
}

function startError({ name, timeouts }: BackendSettings): Error {
  const sentence = `did not start within ${timeouts.startMs / 1_000} s`;
  return backendError(name, "backend_timeout", sentence, { executionState: "not_executed" });
}
