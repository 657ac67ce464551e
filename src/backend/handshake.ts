import { isDeepStrictEqual } from "node:util";
import type { BackendGreeting } from "../domain/capabilities.ts";
import type { VmcpError } from "../domain/errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../domain/json.ts";
import type { AnswerSink, BackendMessage } from "../mcp/exchange.ts";
import { encodeNotification, encodeRequest, OWN_ID_PREFIX } from "../mcp/json-rpc.ts";
import { isSessionfulRevision, LATEST_SESSIONFUL, SESSIONFUL_REVISIONS } from "../mcp/revisions.ts";
import { resultOf } from "./ask.ts";
import { backendError } from "./node-errors.ts";
import type { BackendSettings } from "./options.ts";
import type { Channel, ClientProfile, ConnectionListener } from "./ports.ts";
import type { StartTime } from "./start-time.ts";

/** What it takes to open a backend session. */
export interface HandshakeParts {
  readonly channel: Pick<Channel, "forward" | "agree" | "send">;
  /** Hears what else comes on the way to the answer. */
  readonly held: Pick<ConnectionListener, "unsolicited">;
  readonly settings: BackendSettings;
  readonly client: Pick<ClientProfile, "capabilities" | "info">;
  readonly time: StartTime;
}

/**
 * Opens the backend session: `initialize` in the client's own words, then `notifications/initialized`.
 *
 * Offers the configured revision, else the newest sessionful one, and takes any sessionful revision in
 * return. `asked` is how many questions the channel may have carried before: a late answer must not pass for this one.
 * Throws `backend_protocol` where the backend speaks another revision or none.
 */
export async function shakeHands(parts: HandshakeParts, asked: number): Promise<BackendGreeting> {
  const { channel, settings, time } = parts;
  const answer = await introduce(parts, `${OWN_ID_PREFIX}own:${asked + 1}`);
  const greeting = greetingOf(settings, answer);
  channel.agree(greeting.revision);
  await time.until(channel.send(INITIALIZED));
  return greeting;
}

const INITIALIZED = encodeNotification("notifications/initialized");

function introduce(parts: HandshakeParts, id: string): Promise<BackendMessage> {
  return new Promise((resolve, reject) => {
    parts.time.end.throwIfAborted();
    const introduction = new Introduction(parts, resolve, reject);
    introduction.send(id);
  });
}

/** One `initialize` under way. */
class Introduction implements AnswerSink {
  readonly #parts: HandshakeParts;
  readonly #resolve: (answer: BackendMessage) => void;
  readonly #reject: (reason: unknown) => void;

  constructor(
    parts: HandshakeParts,
    resolve: (answer: BackendMessage) => void,
    reject: (reason: unknown) => void,
  ) {
    this.#parts = parts;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  send(id: string): void {
    const { channel, settings, client, time } = this.#parts;
    const bytes = introductionOf(client, settings.revision, id);
    const { startMs: timeoutMs } = settings.timeouts;
    const exchange = channel.forward({ id, method: "initialize", bytes, timeoutMs }, this);
    time.end.onAbort((reason) => {
      exchange.cancel("The gateway no longer waits for it");
      this.#reject(reason);
    });
  }

  event(message: BackendMessage): boolean {
    this.#parts.held.unsolicited(message);
    return true;
  }

  answer(message: BackendMessage): void {
    this.#parts.time.end.onAbort(undefined);
    this.#resolve(message);
  }

  fail(error: VmcpError): void {
    this.#parts.time.end.onAbort(undefined);
    this.#reject(error);
  }
}

/** Sessions of clients that describe themselves alike introduce them in the same words. */
function introductionOf(
  client: HandshakeParts["client"],
  configured: string | undefined,
  id: string,
): Buffer {
  const revision =
    configured === undefined || configured === "auto" ? LATEST_SESSIONFUL : configured;
  const before = INTRODUCTIONS.get(client);
  if (before?.revision === revision && before.id === id) return before.bytes;
  const { capabilities, info: clientInfo } = client;
  const params = { protocolVersion: revision, capabilities, clientInfo };
  const bytes = encodeRequest(id, "initialize", params);
  INTRODUCTIONS.set(client, { revision, id, bytes });
  return bytes;
}

interface SentIntroduction {
  readonly revision: string;
  readonly id: string;
  readonly bytes: Buffer;
}

/** Of each description of a client, the words in which it was introduced last. */
const INTRODUCTIONS = new WeakMap<object, SentIntroduction>();

/** Every session of a backend is told the same, to the byte as a rule: one object does for all of them. */
function greetingOf(settings: BackendSettings, answer: BackendMessage): BackendGreeting {
  const before = HEARD.get(settings);
  if (before?.bytes.equals(answer.bytes)) return before.greeting;
  const greeting = greetingIn(settings, answer);
  const isSame = before !== undefined && isDeepStrictEqual(before.greeting, greeting);
  const kept = isSame ? before.greeting : greeting;
  // A copy: what came is a part of a larger piece of memory.
  HEARD.set(settings, { bytes: Buffer.from(answer.bytes), greeting: kept });
  return kept;
}

interface HeardGreeting {
  /** The whole message. */
  readonly bytes: Buffer;
  readonly greeting: BackendGreeting;
}

const HEARD = new WeakMap<BackendSettings, HeardGreeting>();

function greetingIn({ name }: BackendSettings, answer: BackendMessage): BackendGreeting {
  const result = resultOf(name, "initialize", answer);
  if (result !== undefined) return readGreeting(name, result);
  throw backendError(name, "backend_protocol", "does not know the method initialize", {
    executionState: "not_executed",
  });
}

function readGreeting(backend: string, result: JsonObject): BackendGreeting {
  const { protocolVersion, capabilities, serverInfo, instructions } = result;
  if (!isSessionfulRevision(protocolVersion)) throw unknownRevision(backend, protocolVersion);
  return {
    revision: protocolVersion,
    capabilities: isJsonObject(capabilities) ? capabilities : {},
    serverInfo: isJsonObject(serverInfo) ? serverInfo : {},
    instructions: typeof instructions === "string" ? instructions : undefined,
  };
}

function unknownRevision(backend: string, revision: JsonValue | undefined): Error {
  const spoken =
    typeof revision === "string"
      ? `speaks revision ${JSON.stringify(revision.slice(0, 32))} of MCP`
      : "does not say which revision of MCP it speaks";
  const known = SESSIONFUL_REVISIONS.join(", ");
  return backendError(backend, "backend_protocol", `${spoken}; the gateway speaks ${known}`, {
    executionState: "executed",
  });
}
