import type { CapabilitySet } from "../domain/capabilities.ts";
import { ANONYMOUS, type Identity } from "../domain/identity.ts";
import { VmcpError } from "../domain/errors.ts";
import { isJsonObject } from "../domain/json.ts";
import { LATEST_SESSIONFUL } from "../mcp/revisions.ts";
import { greet, type GreetParts, type Greeting, type Opened } from "./greet.ts";
import { HeldListener } from "./held-listener.ts";
import type { BackendSettings } from "./options.ts";
import type { ClientProfile, ConnectionListener } from "./ports.ts";
import { StartTime } from "./start-time.ts";
import type { SpokenFamily } from "./stateless/spoken-family.ts";
import type { OpenChannel, Principal, Transports } from "./transports.ts";

/** What a new connection is for: who is behind it, who listens, and whether lists are needed. */
export interface OpenRequest {
  readonly client: Pick<ClientProfile, "capabilities" | "info"> &
    Partial<Pick<ClientProfile, "revision">>;
  /** For whom it is opened; default: the gateway itself. */
  readonly identity?: Identity;
  /** For whom it is used, asked at each request; default: the one above. */
  readonly currentIdentity?: () => Identity;
  readonly listener: ConnectionListener;
  /** Given, no list is fetched. */
  readonly knownCapabilities?: CapabilitySet | undefined;
  /** The level that its client has set, where the backend is to be told with each request. */
  readonly logLevel?: string | undefined;
  /** The gateway looks for itself: then it also finds out which revisions the backend speaks. */
  readonly isProbe?: boolean;
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
  const time = new StartTime(settings, signal);
  try {
    return await transports.tryEach((openChannel) => {
      time.end.throwIfAborted();
      return openBy(openChannel, settings, request, time);
    });
  } finally {
    time[Symbol.dispose]();
  }
}

function openBy(
  openChannel: OpenChannel,
  settings: BackendSettings,
  request: OpenRequest,
  time: StartTime,
): Promise<Opened> {
  const { spoken } = settings;
  const opening = new Opening(openChannel, settings, request, time);
  return spoken.mustAsk(request.isProbe === true)
    ? openByAsking(opening, spoken)
    : openAsKnown(opening, spoken, time);
}

async function openByAsking(opening: Opening, spoken: SpokenFamily): Promise<Opened> {
  const opened = await opening.by("ask");
  if (opened !== undefined) return opened;
  const withSession = await opening.by("initialize");
  spoken.confirm("sessionful");
  return withSession;
}

/** A backend that refuses a session may know the revision without them. If not, that it refused is what counts. */
async function openAsKnown(
  opening: Opening,
  { isPinned }: SpokenFamily,
  time: StartTime,
): Promise<Opened> {
  try {
    return await opening.by("initialize");
  } catch (refusal) {
    if (isPinned || !opening.canStandAlone || time.end.isAborted || !isRefusal(refusal))
      throw refusal;
    try {
      return await opening.by("askOnly");
    } catch {
      throw refusal;
    }
  }
}

/** Attempts to open one connection over one transport, each on a channel of its own. */
class Opening {
  readonly #openChannel: OpenChannel;
  readonly #settings: BackendSettings;
  readonly #request: OpenRequest;
  readonly #time: StartTime;
  #canStandAlone = false;

  constructor(
    openChannel: OpenChannel,
    settings: BackendSettings,
    request: OpenRequest,
    time: StartTime,
  ) {
    this.#openChannel = openChannel;
    this.#settings = settings;
    this.#request = request;
    this.#time = time;
  }

  /** Whether the channel of the last attempt can carry requests without a session. */
  get canStandAlone(): boolean {
    return this.#canStandAlone;
  }

  /** Undefined only where the backend was asked and gave no hint of what it speaks. */
  async by(way: "ask"): Promise<Opened | undefined>;
  async by(way: "initialize" | "askOnly"): Promise<Opened>;
  async by(way: Greeting): Promise<Opened | undefined> {
    const parts = this.#open();
    try {
      const opened = await greet(parts, way);
      if (opened === undefined) await discard(parts);
      else parts.held.releaseSoon();
      return opened;
    } catch (thrown) {
      await discard(parts);
      throw thrown;
    }
  }

  #open(): GreetParts {
    const { client, listener, knownCapabilities, logLevel } = this.#request;
    const [settings, time] = [this.#settings, this.#time];
    const held = new HeldListener(listener);
    const channel = this.#openChannel(held, principalOf(this.#request));
    this.#canStandAlone = channel.standalone !== undefined;
    return { channel, held, settings, client, listener, knownCapabilities, logLevel, time };
  }
}

async function discard({ held, channel }: GreetParts): Promise<void> {
  held.drop();
  await channel[Symbol.asyncDispose]();
}

/** An answer in MCP's own words to an `initialize` that its sender does not take. */
function isRefusal(thrown: unknown): boolean {
  const { code, cause } = VmcpError.from(thrown);
  return code === "backend_http_4xx" || (code === "backend_protocol" && cause === undefined);
}

/** Clients of the revision that has the error for it say that they open links. */
function principalOf({ client, identity = ANONYMOUS, currentIdentity }: OpenRequest): Principal {
  const { elicitation } = client.capabilities;
  const opensLinks =
    client.revision === LATEST_SESSIONFUL &&
    isJsonObject(elicitation) &&
    elicitation["url"] !== undefined;
  return { identity: currentIdentity ?? (() => identity), opensLinks };
}
