import type { BackendGreeting, CapabilitySet } from "../domain/capabilities.ts";
import { VmcpError, type VmcpErrorCode } from "../domain/errors.ts";
import type { JsonObject } from "../domain/json.ts";
import type { BackendMessage } from "../mcp/exchange.ts";
import { encodeError, encodeResult, METHOD_NOT_FOUND } from "../mcp/json-rpc.ts";
import type { GreetedConnection, Opened } from "./greet.ts";
import { openConnection } from "./open-connection.ts";
import type { BackendSettings } from "./options.ts";
import type { ConnectionListener } from "./ports.ts";
import type { Transports } from "./transports.ts";

/** What a backend says of itself and offers, as a look without a client finds it. */
export interface ProbeFinding {
  readonly greeting: BackendGreeting;
  /** As last listed for the gateway itself. */
  readonly capabilities: CapabilitySet;
  /** Whether they were listed just now. */
  readonly isNewlyListed: boolean;
  /** How long one answer took; undefined for a child process, whose start says nothing of that. */
  readonly latencyMs: number | undefined;
}

/** How one backend is looked at again and again, in the gateway's own name and without client capabilities. */
export interface BackendProbe extends AsyncDisposable {
  /** Rejects with a `VmcpError` (or the signal's reason) if the backend cannot be used. One runs at a time. */
  look(signal: AbortSignal): Promise<ProbeFinding>;
}

export interface ProbeParts {
  readonly transports: Transports;
  readonly settings: BackendSettings;
  /** The backend said that its lists changed; the next look lists again. Comes as often as the backend says it. */
  readonly onListsChanged: () => void;
}

/** A probe that opens, lists and closes each time. */
export function createPassingProbe(parts: ProbeParts): BackendProbe {
  return {
    look: async (signal) => {
      const startedAtMs = performance.now();
      const { connection, capabilities } = await open(parts, DEAF_LISTENER, signal);
      const latencyMs = latencyOfOpening(parts.settings, startedAtMs);
      await connection[Symbol.asyncDispose]();
      return { greeting: connection.greeting, capabilities, isNewlyListed: true, latencyMs };
    },
    async [Symbol.asyncDispose]() {},
  };
}

/** A connection that a probe keeps, and what was listed over it. */
interface Kept {
  readonly connection: GreetedConnection;
  capabilities: CapabilitySet;
  mustList: boolean;
}

/** What an answer to a ping can only mean if the backend is there, and what the kept session is good for still. */
const ANSWERED_CODES: ReadonlySet<VmcpErrorCode> = new Set([
  "backend_rate_limited",
  "backend_too_large",
]);

/** Failures before the session came into it: it may well be there afterwards, if not with the same lists. */
const OUTER_CODES: ReadonlySet<VmcpErrorCode> = new Set([
  "backend_unreachable",
  "backend_tls",
  "backend_http_5xx",
]);

/** Failures of the kept session alone, as far as one knows: a new one may well work. */
const SESSION_CODES: ReadonlySet<VmcpErrorCode> = new Set([
  "backend_session_lost",
  "backend_closed",
  "backend_protocol",
  "backend_http_4xx",
]);

/**
 * A probe that keeps one session with the backend and pings it, so that a look costs one small request. Lists
 * are fetched when the session is opened and after the backend said that they changed.
 *
 * A session that the backend has ended is opened anew within the same look: that is no failure if it works.
 */
export class StandingProbe implements BackendProbe {
  readonly #parts: ProbeParts;
  readonly #leaving = new Set<Promise<void>>();
  #kept: Kept | undefined;
  /** The backend does not know `ping`. */
  #canPing = true;

  constructor(parts: ProbeParts) {
    this.#parts = parts;
  }

  async look(signal: AbortSignal): Promise<ProbeFinding> {
    const kept = this.#kept;
    const finding = kept && (await this.#lookOver(kept, signal));
    return finding ?? this.#openAnew(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#kept !== undefined) this.#leave(this.#kept);
    await Promise.allSettled(this.#leaving);
  }

  /** Undefined where the kept session is of no more use and a new one is to be tried. */
  async #lookOver(kept: Kept, signal: AbortSignal): Promise<ProbeFinding | undefined> {
    try {
      const startedAtMs = performance.now();
      await this.#askAnything(kept.connection, signal);
      const latencyMs = Math.round(performance.now() - startedAtMs);
      return await this.#listAgain(kept, latencyMs, signal);
    } catch (thrown) {
      const { code } = VmcpError.from(thrown);
      kept.mustList = true;
      if (signal.aborted || !OUTER_CODES.has(code)) this.#leave(kept);
      if (!signal.aborted && SESSION_CODES.has(code)) return undefined;
      throw thrown;
    }
  }

  async #askAnything(connection: GreetedConnection, signal: AbortSignal): Promise<void> {
    const hasTools = connection.greeting.capabilities["tools"] !== undefined;
    const method = this.#canPing || !hasTools ? "ping" : "tools/list";
    try {
      const { error } = await connection.ask(method, signal);
      // Whatever it says, it has answered; what it cannot answer is not asked a second time.
      if (method === "ping" && error?.code === METHOD_NOT_FOUND) this.#canPing = false;
    } catch (thrown) {
      if (!ANSWERED_CODES.has(VmcpError.from(thrown).code)) throw thrown;
    }
  }

  async #listAgain(kept: Kept, latencyMs: number, signal: AbortSignal): Promise<ProbeFinding> {
    const { greeting } = kept.connection;
    const isNewlyListed = kept.mustList;
    if (isNewlyListed) {
      kept.mustList = false;
      try {
        kept.capabilities = await kept.connection.listCapabilities(signal);
      } catch (thrown) {
        kept.mustList = true;
        throw thrown;
      }
    }
    return { greeting, capabilities: kept.capabilities, isNewlyListed, latencyMs };
  }

  async #openAnew(signal: AbortSignal): Promise<ProbeFinding> {
    const startedAtMs = performance.now();
    const listener = new ProbeListener(this.#parts.onListsChanged);
    const { connection, capabilities } = await open(this.#parts, listener, signal);
    const kept: Kept = { connection, capabilities, mustList: false };
    this.#kept = kept;
    listener.serve(kept, () => this.#leave(kept));
    if (announcesChanges(connection.greeting)) connection.openNotifications();
    const latencyMs = latencyOfOpening(this.#parts.settings, startedAtMs);
    return { greeting: connection.greeting, capabilities, isNewlyListed: true, latencyMs };
  }

  /** Ends the session in the background: nobody waits for a backend that is in no state to answer. */
  #leave(kept: Kept): void {
    if (this.#kept !== kept) return;
    this.#kept = undefined;
    const leaving = kept.connection[Symbol.asyncDispose]();
    this.#leaving.add(leaving);
    void this.#forget(leaving);
  }

  async #forget(leaving: Promise<void>): Promise<void> {
    await leaving.catch(() => {});
    this.#leaving.delete(leaving);
  }
}

/** Hears what a backend says to the gateway itself, and answers what it asks: some end sessions that do not. */
class ProbeListener implements ConnectionListener {
  readonly #onListsChanged: () => void;
  #kept: Kept | undefined;
  #onLost: () => void = () => {};

  constructor(onListsChanged: () => void) {
    this.#onListsChanged = onListsChanged;
  }

  serve(kept: Kept, onLost: () => void): void {
    this.#kept = kept;
    this.#onLost = onLost;
  }

  unsolicited({ message }: BackendMessage): void {
    const { id, method } = message;
    if (method === undefined || this.#kept === undefined) return;
    if (id !== undefined) answer(this.#kept.connection, JSON.stringify(id), method);
    if (id !== undefined || !LIST_CHANGED.test(method)) return;
    this.#kept.mustList = true;
    this.#onListsChanged();
  }

  lost(): void {
    this.#onLost();
  }
}

const LIST_CHANGED = /^notifications\/(?:tools|prompts|resources)\/list_changed$/;

function answer(connection: GreetedConnection, idJson: string, method: string): void {
  const refusal = { code: METHOD_NOT_FOUND, message: `Nobody is here who could do ${method}` };
  const bytes = method === "ping" ? encodeResult(idJson, "{}") : encodeError(idJson, refusal);
  // A backend that cannot be told has ended its side; the next look finds out.
  connection.send(bytes).catch(() => {});
}

/** Whether the backend says so itself when one of its lists changes. */
function announcesChanges({ capabilities }: BackendGreeting): boolean {
  return ["tools", "prompts", "resources"].some((kind) => {
    const announced = capabilities[kind];
    return typeof announced === "object" && announced !== null && "listChanged" in announced;
  });
}

async function open(
  { transports, settings }: ProbeParts,
  listener: ConnectionListener,
  signal: AbortSignal,
): Promise<Opened> {
  const client = { capabilities: {}, info: settings.clientInfo ?? PROBE_INFO };
  return openConnection(transports, settings, { client, listener, isProbe: true }, signal);
}

/** `initialize`, the notification after it, and the lists side by side: an answer takes about a third of it. */
const ANSWERS_TO_OPEN = 3;

function latencyOfOpening({ transport }: BackendSettings, startedAtMs: number): number | undefined {
  if (transport === "stdio") return undefined;
  return Math.round((performance.now() - startedAtMs) / ANSWERS_TO_OPEN);
}

const PROBE_INFO: JsonObject = { name: "vmcp-probe", version: "0" };

const DEAF_LISTENER: ConnectionListener = { unsolicited() {}, lost() {} };
