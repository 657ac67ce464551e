import type { IncomingMessage, ServerResponse } from "node:http";
import { VmcpError } from "../domain/errors.ts";
import { DEADLINES } from "../lib/deadlines.ts";
import type {
  HttpRequest,
  RequestControl,
  RequestSender,
  ResponseHandler,
} from "../lib/http-client/request-sender.ts";
import { SIBLING_HEADER, toForwardedWhole } from "./hop-headers.ts";
import { beginAnswer, headerOf } from "./relayed-answer.ts";
import { codeOf, FULL_QUEUE, shortageOf } from "./unreachable.ts";

/** Of a body that is collected before it is passed on. */
const MAX_WHOLE_BYTES = 65_536;

/** How long a request waits before it looks again for a place in the owner's queue. */
const QUEUE_RETRY_MS = 50;
const MAX_QUEUE_RETRIES = 50;

/** Whether a request can be passed on as a whole: it says how long its body is, and that is not much. */
export function isWhole({ method, headers }: IncomingMessage): boolean {
  if (methodOf(method) === undefined) return false;
  if (headers["transfer-encoding"] !== undefined || headers.expect !== undefined) return false;
  return Number(headers["content-length"] ?? 0) <= MAX_WHOLE_BYTES;
}

/**
 * Passes on a request for which `isWhole` holds, after its last byte has come. As `Forwarder.forward`; what was read
 * is put back where the owner is not there.
 */
export function forwardWhole(
  request: IncomingMessage,
  response: ServerResponse,
  sender: RequestSender,
  secret: string,
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    new WholeRequest(request, response, { sender, secret, resolve, reject }).start();
  });
}

interface WholeRequestOptions {
  readonly sender: RequestSender;
  readonly secret: string;
  readonly resolve: (isForwarded: boolean) => void;
  readonly reject: (error: VmcpError) => void;
}

/** From the first byte of the body to the end of the answer. */
class WholeRequest implements ResponseHandler {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #options: WholeRequestOptions;
  #phase: "reading" | "waiting" | "sent" | "answering" | "over" = "reading";
  #body: Buffer | undefined;
  #control: RequestControl | undefined;
  #queueRetries = 0;
  /** In bytes; not a number where the owner does not say. */
  #answerLength = Number.NaN;

  constructor(request: IncomingMessage, response: ServerResponse, options: WholeRequestOptions) {
    this.#request = request;
    this.#response = response;
    this.#options = options;
  }

  start(): void {
    // One that went away before tells nobody any more.
    if (this.#response.destroyed) {
      this.#options.resolve(true);
      return;
    }
    this.#response.on("close", () => this.#left());
    // The bytes that came together with the head are there when the parser is through with them.
    if (Number(this.#request.headers["content-length"] ?? 0) === 0) this.#send();
    else queueMicrotask(() => this.#readOrWait());
  }

  onConnect(control: RequestControl): void {
    if (this.#phase === "over") throw new VmcpError("cancelled", "The client went away");
    this.#phase = "sent";
    this.#control = control;
    this.#body = undefined;
    this.#request.resume();
  }

  onHeaders(status: number, headers: readonly string[]): void {
    this.#phase = "answering";
    this.#answerLength = Number(headerOf(headers, "content-length"));
    beginAnswer(this.#response, status, headers);
    this.#options.resolve(true);
  }

  onData(chunk: Buffer): boolean {
    if (chunk.length === this.#answerLength) {
      this.#end(chunk);
      return true;
    }
    if (this.#response.write(chunk)) return true;
    this.#response.once("drain", () => this.#control?.resume());
    return false;
  }

  onComplete(): void {
    if (this.#phase !== "over") this.#end();
  }

  onError(error: Error): void {
    if (this.#phase === "over") return;
    if (this.#phase === "waiting") {
      this.#notConnected(error);
      return;
    }
    this.#phase = "over";
    // What became of the request nobody knows.
    this.#response.destroy();
    this.#options.resolve(true);
  }

  #readOrWait(): void {
    const read = (): void => {
      if (!this.#read()) return;
      this.#request.removeListener("readable", read);
      this.#send();
    };
    if (this.#read()) this.#send();
    else if (this.#phase === "reading") this.#request.on("readable", read);
  }

  /** Takes the bytes of the body and leaves its end unread: only so it can be put back. */
  #read(): boolean {
    const length = Number(this.#request.headers["content-length"]);
    // Without an encoding a stream of bytes gives these.
    const bytes = this.#request.read(length) as Buffer | null;
    if (bytes?.length !== length || this.#phase !== "reading") return false;
    this.#body = bytes;
    return true;
  }

  #send(): void {
    const { method, url = "", headers, rawHeaders } = this.#request;
    const { sender, secret } = this.#options;
    const forwarded = toForwardedWhole(rawHeaders);
    forwarded.push(SIBLING_HEADER, secret);
    this.#phase = "waiting";
    sender.dispatch(
      {
        method: methodOf(method) ?? "GET",
        path: url,
        host: headers.host,
        headers: forwarded,
        body: this.#body ?? (headers["content-length"] === undefined ? undefined : EMPTY),
      },
      this,
    );
  }

  #end(chunk?: Buffer): void {
    this.#phase = "over";
    this.#response.end(chunk);
  }

  /** The client went away, or has its answer. */
  #left(): void {
    if (this.#phase === "over") return;
    this.#phase = "over";
    this.#control?.abort();
    this.#options.resolve(true);
  }

  /** Nothing has left. */
  #notConnected(error: Error): void {
    if (codeOf(error) === FULL_QUEUE && this.#queueRetries < MAX_QUEUE_RETRIES) {
      this.#queueRetries += 1;
      DEADLINES.add(QUEUE_RETRY_MS, () => this.#phase === "waiting" && this.#send());
      return;
    }
    this.#phase = "over";
    if (this.#body !== undefined) this.#request.unshift(this.#body);
    const shortage = shortageOf(error);
    if (shortage === undefined) this.#options.resolve(false);
    else this.#options.reject(shortage);
  }
}

const EMPTY = Buffer.alloc(0);

function methodOf(method: string | undefined): HttpRequest["method"] | undefined {
  return method === "GET" || method === "POST" || method === "DELETE" ? method : undefined;
}
