import {
  Agent,
  request as sendRequest,
  type ClientRequest,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import { pipeline } from "node:stream";
import { VmcpError } from "../domain/errors.ts";
import { SIBLING_HEADER, toForwarded } from "./hop-headers.ts";
import { beginAnswer } from "./relayed-answer.ts";
import { shortageOf } from "./unreachable.ts";

/** Idle connections between two workers; below the time after which the other end closes them. */
const MAX_IDLE_MS = 2_000;
const MAX_IDLE_CONNECTIONS = 64;

export interface StreamedRequestsOptions {
  readonly secret: string;
  /** Where the owner is reached. */
  readonly pathOf: (owner: number) => string;
  /** After how long the other end closes an idle connection. */
  readonly keepAliveTimeoutMs: number;
}

/** Passes on requests of any form and length, their bodies as they come. */
export class StreamedRequests implements Disposable {
  readonly #options: StreamedRequestsOptions;
  readonly #agent: Agent;

  constructor(options: StreamedRequestsOptions) {
    this.#options = options;
    this.#agent = new Agent({
      keepAlive: true,
      timeout: Math.max(1, Math.min(MAX_IDLE_MS, options.keepAliveTimeoutMs / 2)),
      maxFreeSockets: MAX_IDLE_CONNECTIONS,
    });
  }

  /** As `Forwarder.forward`. */
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
      const answer = await answerTo(outgoing);
      beginAnswer(response, answer.statusCode ?? 502, answer.rawHeaders);
      pipeline(answer, response, () => {});
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
      headers: [...toForwarded(rawHeaders), SIBLING_HEADER, secret],
    });
    outgoing.setNoDelay(true);
    return outgoing;
  }
}

/** False where nobody listens. Rejects with `overloaded` where that is not known. */
async function isConnected(outgoing: ClientRequest): Promise<boolean> {
  return new Promise((resolve, reject) => {
    // Stays, because an error that nobody listens to would end the process.
    outgoing.on("error", (error) => {
      const shortage = shortageOf(error);
      if (shortage === undefined) resolve(false);
      else reject(shortage);
    });
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
