import { VmcpError } from "../../domain/errors.ts";
import { DEADLINES, type Deadline } from "../../lib/deadlines.ts";
import type { RequestControl, ResponseHandler } from "../../lib/http-client/request-sender.ts";
import { SseParser, type SseEvent } from "../../mcp/sse.ts";
import { notMcpError } from "../failures.ts";
import { backendError, toConnectionError } from "../node-errors.ts";
import type { BackendSettings } from "../options.ts";
import { toStreamHeaders, type Endpoint } from "../streamable-http/endpoint.ts";
import {
  describeHead,
  readHead,
  statusError,
  type ResponseHead,
} from "../streamable-http/response-head.ts";
import { toMessagePath } from "./message-address.ts";

/** Who hears what the stream carries. Nothing comes after `ended`, and nothing at all after `close`. */
export interface StreamListener {
  /** The first event: where messages are to be sent. Comes once. */
  opened(messagePath: string): void;
  /** One event's data, which should be a message. */
  message(data: Buffer): void;
  /** The stream is gone for good. */
  ended(error: VmcpError): void;
}

/**
 * The stream on which a backend of revision 2024-11-05 says everything that it says (GET).
 *
 * It is the backend session: it is never opened again, because what was lost with it cannot be had back. It
 * is its own handler for the HTTP client.
 */
export class EventStream implements ResponseHandler {
  readonly #settings: BackendSettings;
  readonly #endpoint: Endpoint;
  readonly #listener: StreamListener;
  readonly #parser: SseParser;
  #phase: "connecting" | "greeting" | "open" | "closed" = "connecting";
  #control: RequestControl | undefined;
  #isFlowing = true;
  #isBodyPaused = false;
  #greetingDeadline: Deadline | undefined;
  #heard = 0;

  constructor(settings: BackendSettings, endpoint: Endpoint, listener: StreamListener) {
    this.#settings = settings;
    this.#endpoint = endpoint;
    this.#listener = listener;
    this.#parser = new SseParser({ maxEventBytes: settings.limits.sseEventBytes });
  }

  /**
   * Grows with whatever comes, comments included, and is never the same twice while nothing is read: then nothing
   * can be said of what came.
   */
  get heard(): number {
    if (this.#isBodyPaused) this.#heard += 1;
    return this.#heard;
  }

  /** To be called once. */
  open(): void {
    const { path, pools, requestHeaders } = this.#endpoint;
    // Half of the time to start: a server of another kind may open a stream and say nothing on it, and then
    // there must be time left to speak to it as it wants.
    const patienceMs = this.#settings.timeouts.startMs / 2;
    this.#greetingDeadline = DEADLINES.add(patienceMs, () => {
      const sentence = `did not say within ${patienceMs / 1_000} s where to send messages`;
      this.#fail("backend_timeout", sentence);
    });
    pools.streams.dispatch({ path, method: "GET", headers: toStreamHeaders(requestHeaders) }, this);
  }

  close(): void {
    this.#phase = "closed";
    this.#greetingDeadline?.cancel();
    this.#control?.abort();
  }

  /** Stops reading, but for what has come already, or goes on. */
  setFlowing(isFlowing: boolean): void {
    this.#isFlowing = isFlowing;
    if (!isFlowing || !this.#isBodyPaused) return;
    this.#isBodyPaused = false;
    const control = this.#control;
    // What comes of it must not come from within another request's data.
    if (control !== undefined) queueMicrotask(() => control.resume());
  }

  onConnect(control: RequestControl): void {
    if (this.#phase === "closed") throw new Error("nobody wants this stream any longer");
    this.#control = control;
  }

  onHeaders(status: number, headers: readonly string[]): void {
    if (this.#phase === "closed") return;
    const head = readHead(status, headers);
    const isStream = status === 200 && head.mediaType === "text/event-stream";
    if (isStream && head.contentEncoding === "") this.#phase = "greeting";
    else this.#end(this.#refusal(head));
  }

  onData(chunk: Buffer): boolean {
    this.#heard += 1;
    if (this.#phase !== "closed") for (const event of this.#parse(chunk)) this.#take(event);
    this.#isBodyPaused = !this.#isFlowing && !this.#isClosed();
    return !this.#isBodyPaused;
  }

  onComplete(): void {
    this.#control = undefined;
    this.#fail("backend_closed", "ended its event stream");
  }

  onError(thrown: Error): void {
    const isWritten = this.#control !== undefined;
    this.#control = undefined;
    const { name } = this.#settings;
    const isBroken = this.#phase === "greeting" || this.#phase === "open";
    if (isBroken) this.#fail("backend_closed", "broke off its event stream", thrown);
    else this.#end(toConnectionError(name, thrown, { isWritten, isTls: this.#endpoint.isTls }));
  }

  #parse(chunk: Buffer): readonly SseEvent[] {
    try {
      return this.#parser.push(chunk);
    } catch {
      const { sseEventBytes } = this.#settings.limits;
      this.#fail("backend_too_large", `sent an event of more than ${sseEventBytes} bytes`);
      return [];
    }
  }

  #take({ event = "message", data }: SseEvent): void {
    if (this.#phase === "open") {
      if (event === "message" && data.length > 0) this.#listener.message(data);
    } else if (this.#phase === "greeting" && event === "endpoint") {
      this.#greet(data);
    } else if (this.#phase === "greeting" && data.length > 0) {
      this.#fail(
        "backend_protocol",
        "did not begin its event stream by saying where to send messages",
      );
    }
  }

  #greet(data: Buffer): void {
    let messagePath: string;
    try {
      messagePath = toMessagePath(this.#settings.name, this.#endpoint.url, data);
    } catch (thrown) {
      this.#end(VmcpError.from(thrown));
      return;
    }
    this.#greetingDeadline?.cancel();
    this.#phase = "open";
    this.#listener.opened(messagePath);
  }

  #refusal(head: ResponseHead): VmcpError {
    const { name } = this.#settings;
    const error = statusError(name, head, false);
    const isForeign = error.code === "backend_protocol" || error.code === "backend_http_4xx";
    return isForeign ? notMcpError(name, "HTTP+SSE", describeHead(head), error) : error;
  }

  /** Before the greeting nothing was sent; after it, whoever has sent something knows best whether it was. */
  #fail(code: VmcpError["code"], sentence: string, cause?: unknown): void {
    const executionState = this.#phase === "open" ? "unknown" : "not_executed";
    this.#end(backendError(this.#settings.name, code, sentence, { executionState, cause }));
  }

  #end(error: VmcpError): void {
    if (this.#phase === "closed") return;
    this.close();
    this.#listener.ended(error);
  }

  #isClosed(): boolean {
    return this.#phase === "closed";
  }
}
