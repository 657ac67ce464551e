import { timingSafeEqual } from "node:crypto";
import {
  Agent,
  request as sendRequest,
  type ClientRequest,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import { pipeline } from "node:stream";
import { VmcpError } from "../domain/errors.ts";

/** Carries the secret by which a worker knows another one. */
const SIBLING_HEADER = "vmcp-sibling";

/** About one hop only; each end of a hop says its own. */
const HOP_HEADERS: readonly string[] = [
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "upgrade",
];

/** The length of a body, in whichever way it is told, goes with it: without it the body would be the next request. */
const LEFT_OUT_OF_REQUESTS: ReadonlySet<string> = new Set([
  ...HOP_HEADERS,
  "expect",
  SIBLING_HEADER,
]);

const LEFT_OUT_OF_ANSWERS: ReadonlySet<string> = new Set([...HOP_HEADERS, "transfer-encoding"]);

const EVENT_STREAM = "text/event-stream";

/** Idle connections between two workers; below the time after which the other end closes them. */
const MAX_IDLE_MS = 2_000;
const MAX_IDLE_CONNECTIONS = 64;

export interface ForwarderOptions {
  readonly secret: string;
  /** Where the owner is reached. */
  readonly pathOf: (owner: number) => string;
  /** After how long the other end closes an idle connection. */
  readonly keepAliveTimeoutMs: number;
}

/** Sends requests to the worker that owns their session and relays its answers as they come. */
export class Forwarder implements Disposable {
  readonly #options: ForwarderOptions;
  readonly #agent: Agent;

  constructor(options: ForwarderOptions) {
    this.#options = options;
    this.#agent = new Agent({
      keepAlive: true,
      timeout: Math.max(1, Math.min(MAX_IDLE_MS, options.keepAliveTimeoutMs / 2)),
      maxFreeSockets: MAX_IDLE_CONNECTIONS,
    });
  }

  /**
   * Sends the request once and answers it with what the owner answers; when the client goes away, so does the
   * request. Resolves with false, the request unread, where the owner is not there, and with it the session. Where
   * the owner ends in between, nobody knows what became of the request, and the client's connection is cut.
   */
  async forward(
    owner: number,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<boolean> {
    const outgoing = this.#open(owner, request);
    response.on("close", () => void outgoing.destroy());
    if (!(await isConnected(outgoing))) return response.destroyed;
    if (request.headers.expect !== undefined) response.writeContinue();
    // An owner that has answered may read no further; its answer goes out nevertheless.
    request.pipe(outgoing);
    try {
      relay(await answerTo(outgoing), response);
    } catch {
      response.destroy();
    }
    return true;
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  #open(owner: number, { method, url, rawHeaders }: IncomingMessage): ClientRequest {
    const { secret, pathOf } = this.#options;
    const outgoing = sendRequest({
      socketPath: pathOf(owner),
      agent: this.#agent,
      ...(method !== undefined && { method }),
      ...(url !== undefined && { path: url }),
      setHost: false,
      headers: [...without(LEFT_OUT_OF_REQUESTS, rawHeaders), SIBLING_HEADER, secret],
    });
    outgoing.setNoDelay(true);
    return outgoing;
  }
}

/** Throws `forbidden_host` unless another worker sent the request. */
export function requireSibling({ headers }: IncomingMessage, secret: string): void {
  const shown = Buffer.from(String(headers[SIBLING_HEADER] ?? ""));
  const expected = Buffer.from(secret);
  if (shown.length === expected.length && timingSafeEqual(shown, expected)) return;
  throw new VmcpError("forbidden_host", "Only the gateway's own processes may use this socket");
}

/** False where nobody listens: a process that ended took its sessions with it. */
async function isConnected(outgoing: ClientRequest): Promise<boolean> {
  return new Promise((resolve) => {
    // Stays, because an error that nobody listens to would end the process.
    outgoing.on("error", () => resolve(false));
    outgoing.on("close", () => resolve(false));
    outgoing.on("socket", (socket) => {
      if (socket.connecting) socket.once("connect", () => resolve(true));
      else resolve(true);
    });
  });
}

async function answerTo(outgoing: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    outgoing.on("response", resolve);
    outgoing.on("close", () => reject(new VmcpError("cancelled", "The exchange was cut")));
  });
}

function relay(answer: IncomingMessage, response: ServerResponse): void {
  const { statusCode = 502 } = answer;
  // The owner judged and said everything about this answer, for other sites too.
  for (const name of response.getHeaderNames()) response.removeHeader(name);
  response.sendDate = false;
  response.writeHead(statusCode, [...without(LEFT_OUT_OF_ANSWERS, answer.rawHeaders)]);
  // Who waits for the first event has to see that there is a stream.
  if (answer.headers["content-type"]?.startsWith(EVENT_STREAM)) response.flushHeaders();
  pipeline(answer, response, () => {});
}

function without(names: ReadonlySet<string>, rawHeaders: readonly string[]): readonly string[] {
  const kept: string[] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const [name = "", value = ""] = rawHeaders.slice(index, index + 2);
    if (!names.has(name.toLowerCase())) kept.push(name, value);
  }
  return kept;
}
