import { isUtf8 } from "node:buffer";
import { VmcpError } from "../../domain/errors.ts";
import { DEADLINES, type Deadline } from "../../lib/deadlines.ts";
import type { RequestControl, ResponseHandler } from "../../lib/http-client/request-sender.ts";
import type { AnswerSink, BackendMessage, Exchange } from "../../mcp/exchange.ts";
import { encodeNotification } from "../../mcp/json-rpc.ts";
import { SseParser, type SseEvent } from "../../mcp/sse.ts";
import { CallClock, type ClockExpiry } from "../call-clock.ts";
import { expiryError, notMcpError } from "../failures.ts";
import { backendError, toConnectionError } from "../node-errors.ts";
import type { ChannelRequest } from "../ports.ts";
import { faultOfAnswer, readMessages, type Fault } from "../read-messages.ts";
import { toStreamHeaders } from "./endpoint.ts";
import { HeldEvents } from "./held-events.ts";
import type { HttpRoute } from "./http-route.ts";
import { inflateWithin } from "./inflate.ts";
import {
  describeHead,
  isEventStream,
  readHead,
  sessionLostError,
  statusError,
  type ResponseHead,
} from "./response-head.ts";
import { StreamPosition } from "./stream-position.ts";

/** An error's body is looked at for a JSON-RPC error, and never for more than this. */
const MAX_ERROR_BODY_BYTES = 65_536;

/** What may still come once an answer is known, so that its connection can be used again. */
const MAX_DRAIN_BYTES = 65_536;
const MAX_DRAIN_MS = 2_000;

/** Clients match on this code to open a new session; with it a 404 is about the session and not the call. */
const SESSION_NOT_FOUND = -32_001;

/**
 * One request over HTTP and the way its answer takes: a JSON body, or a stream of events until the answer.
 *
 * A stream that breaks is taken up again where the backend numbers its events, until the time of the call is
 * over; the request itself is never sent twice. The exchange is its own handler for the HTTP client. All
 * transitions of a request's life are in this class: waiting, answering (by body or stream), resting and
 * resuming between two streams, doubting whether a refusal is about the session, over, drained.
 */
export class HttpExchange implements Exchange, ResponseHandler {
  readonly clock: CallClock;
  readonly #route: HttpRoute;
  readonly #request: ChannelRequest;
  readonly #sink: AnswerSink;
  #phase: "waiting" | "body" | "stream" | "resting" | "resuming" | "doubting" | "over" = "waiting";
  #control: RequestControl | undefined;
  #isWritten = false;
  #head: ResponseHead | undefined;
  #spokeJsonRpc = false;
  #chunks: Buffer[] = [];
  #receivedBytes = 0;
  #parser: SseParser | undefined;
  /** Whether each chunk of the stream was UTF-8 by itself, so that its events need not be looked at one by one. */
  #isKnownUtf8 = true;
  #position: StreamPosition | undefined;
  #rest: Deadline | undefined;
  #events: HeldEvents | undefined;
  #isPaused = false;
  #isBodyPaused = false;
  /** That the head of an answer, or of a stream that is taken up again, has come. */
  #isAnswered = false;
  #drainDeadline: Deadline | undefined;
  #onLateHead: ((head?: ResponseHead) => void) | undefined;

  constructor(route: HttpRoute, request: ChannelRequest, sink: AnswerSink) {
    this.#route = route;
    this.#request = request;
    this.#sink = sink;
    this.clock = new CallClock(route.settings.timeouts, request, (expiry, afterMs) =>
      this.#expire(expiry, afterMs),
    );
  }

  start(): void {
    if (this.#phase !== "over") this.#route.post(this.#request, this);
  }

  /** Ends the exchange from our side and says why; the backend is told. */
  end(error: VmcpError): void {
    if (this.#phase === "over") return;
    this.#leave(error.message);
    this.#sink.fail(error);
  }

  cancel(reason: string): void {
    if (this.#phase !== "over") this.#leave(reason);
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    if (!this.#isBodyPaused) return;
    this.#events?.drain(this);
    this.#continueBody();
  }

  /** Whether a byte of the request may have left: an end before that proves that nothing ran. */
  get isWritten(): boolean {
    return this.#isWritten;
  }

  /**
   * For an `initialize` that was given up: waits until the backend has said which session it opened for it, but
   * no longer than that, so that the session can be ended instead of being left behind.
   */
  async learnSession(withinMs: number): Promise<void> {
    if (this.#control === undefined || this.#head !== undefined) return;
    await new Promise<void>((resolve) => {
      const deadline = DEADLINES.add(withinMs, resolve);
      this.#onLateHead = (head) => {
        deadline.cancel();
        if (head?.status === 200) this.#route.adopt(head.sessionId);
        resolve();
      };
    });
    this.#control?.abort();
  }

  onConnect(control: RequestControl): void {
    // Thrown here the request is dropped and the connection kept; aborting would close the connection.
    if (this.#phase === "over") throw new VmcpError("cancelled", "The request is no longer wanted");
    this.#control = control;
    this.#isWritten = true;
  }

  onHeaders(status: number, headers: readonly string[]): void {
    this.#isAnswered = true;
    const head = readHead(status, headers);
    if (this.#phase === "over") {
      this.#onLateHead?.(head);
      return;
    }
    if (this.#phase === "resuming") {
      this.#acceptResumed(head);
      return;
    }
    this.#head = head;
    if (status === 200) this.#accept(head);
    else this.#refuse(head);
  }

  onData(chunk: Buffer): boolean {
    this.#receivedBytes += chunk.length;
    if (this.#phase === "stream") {
      this.#parse(chunk);
      this.#isBodyPaused = this.#isPaused && !this.#isOver();
    } else if (this.#phase === "body") {
      this.#collect(chunk);
    } else if (this.#receivedBytes > MAX_DRAIN_BYTES) {
      this.#control?.abort();
    }
    return !this.#isBodyPaused;
  }

  onComplete(): void {
    this.#control = undefined;
    this.#drainDeadline?.cancel();
    if (this.#phase === "stream" || this.#phase === "resuming") this.#streamEnded();
    else if (this.#phase === "body") this.#bodyEnded();
    else if (this.#phase === "waiting") this.#failProtocol("answered without a message");
  }

  onError(thrown: Error): void {
    this.#control = undefined;
    this.#drainDeadline?.cancel();
    this.#onLateHead?.();
    if (this.#phase === "over" || this.#phase === "doubting") return;
    const { settings, isTls } = this.#route;
    const error = toConnectionError(settings.name, thrown, { isWritten: this.#isWritten, isTls });
    if (this.#phase === "stream" || this.#phase === "resuming") this.#streamBroke(error);
    else this.#fail(error);
  }

  #accept(head: ResponseHead): void {
    const isJson = head.mediaType === "application/json";
    if (this.#isInitialize() && !this.#route.adopt(head.sessionId)) {
      this.#failProtocol("names its session by an id that is not visible ASCII");
    } else if (isEventStream(head)) {
      this.#beginStream();
    } else if (head.contentEncoding !== "" && head.contentEncoding !== "gzip") {
      this.#failProtocol("answered in an encoding that it was not asked for");
    } else if (isJson || head.contentEncoding === "gzip") {
      this.#phase = "body";
      this.#checkSize(head.contentLength ?? 0);
    } else {
      this.#failProtocol("answered with neither JSON nor an event stream");
    }
  }

  #beginStream(): void {
    const { limits, timeouts } = this.#route.settings;
    this.#phase = "stream";
    this.#parser = new SseParser({ maxEventBytes: limits.sseEventBytes });
    this.#position ??= new StreamPosition(timeouts);
    this.#events ??= new HeldEvents();
  }

  /** Any status but 200. Those that say something by themselves are not asked for their body. */
  #refuse(head: ResponseHead): void {
    const { status } = head;
    const speaksForItself = status < 400 || status === 401 || status === 403 || status === 429;
    if (speaksForItself || head.mediaType !== "application/json" || head.contentEncoding !== "") {
      this.#failByStatus(head);
    } else {
      this.#phase = "body";
      this.#checkSize(head.contentLength ?? 0);
    }
  }

  #collect(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#checkSize(this.#receivedBytes);
  }

  #checkSize(bytes: number): void {
    const isAnswer = this.#head?.status === 200;
    const limit = isAnswer ? this.#route.settings.limits.responseBytes : MAX_ERROR_BODY_BYTES;
    if (bytes <= limit) return;
    this.#chunks = [];
    if (isAnswer) this.#failTooLarge(`answered with more than ${limit} bytes`);
    else if (this.#head !== undefined) this.#failByStatus(this.#head);
    this.#control?.abort();
  }

  #bodyEnded(): void {
    const [first] = this.#chunks;
    const isWhole = first !== undefined && this.#chunks.length === 1;
    const bytes = isWhole ? first : Buffer.concat(this.#chunks);
    this.#chunks.length = 0;
    if (this.#head?.contentEncoding === "gzip") this.#inflate(bytes);
    else this.#readBody(bytes);
  }

  /** Not asked for, but some servers compress whatever they are told; the cap counts what comes out. */
  #inflate(bytes: Buffer): void {
    const maxOutputLength = this.#route.settings.limits.responseBytes;
    inflateWithin(bytes, maxOutputLength, (inflated) => {
      if (this.#phase === "over") return;
      if (inflated === "too_large") {
        this.#failTooLarge(`answered with more than ${maxOutputLength} bytes`);
      } else if (inflated === "broken") {
        this.#failProtocol("answered with a body that cannot be decoded");
      } else this.#readBody(inflated);
    });
  }

  #readBody(bytes: Buffer): void {
    const head = this.#head;
    if (head === undefined) return;
    const { jsonDepth } = this.#route.settings.limits;
    if (head.status === 200) {
      const fault = readMessages(bytes, jsonDepth, (message) => this.#receive(message));
      if (!this.#isOver()) this.#failFault(fault ?? NO_ANSWER);
      return;
    }
    readMessages(bytes, jsonDepth, (message) => this.#receiveRefusal(message));
    if (this.#phase === "body") this.#failByStatus(head);
  }

  #receiveRefusal(answer: BackendMessage): void {
    const { id, error } = answer.message;
    const head = this.#head;
    this.#spokeJsonRpc = error !== undefined;
    if (id !== this.#request.id || error === undefined || head === undefined) return;
    if (head.status !== 404) this.#settle(answer);
    else if (error.code !== SESSION_NOT_FOUND) this.#doubt(head, () => this.#settle(answer));
  }

  #parse(chunk: Buffer): void {
    if (this.#parser === undefined) return;
    this.#isKnownUtf8 &&= isUtf8(chunk);
    let events: readonly SseEvent[];
    try {
      events = this.#parser.push(chunk);
    } catch {
      const { sseEventBytes } = this.#route.settings.limits;
      this.#failTooLarge(`sent an event of more than ${sseEventBytes} bytes`);
      this.#control?.abort();
      return;
    }
    for (const event of events) this.#position?.passed(event);
    this.#events?.add(events);
    this.#events?.drain(this);
  }

  /** False once the reader asks for a pause or the exchange is over: the event is not taken then. */
  takeEvent({ event, data }: SseEvent): boolean {
    if (this.#isPaused || this.#isOver()) return false;
    if (data.length === 0 || (event !== undefined && event !== "message")) return true;
    const { jsonDepth } = this.#route.settings.limits;
    const receive = (message: BackendMessage): void => this.#receive(message);
    const fault = readMessages(data, jsonDepth, receive, this.#isKnownUtf8);
    if (fault !== undefined && !this.#isOver()) this.#failFault(fault);
    return true;
  }

  #receive(message: BackendMessage): void {
    if (this.#isOver()) return;
    if (message.message.method !== undefined) this.#relay(message);
    else if (message.message.id === this.#request.id) this.#settle(message);
    else this.#failProtocol("answered with the id of another request");
  }

  #relay(event: BackendMessage): void {
    const { id, method, params } = event.message;
    if (method === "notifications/progress") {
      // A token that this call did not give belongs to nobody here, and perhaps to another session.
      const token = params?.["progressToken"];
      if (token === undefined || token !== this.#request.progressToken) return;
      this.clock.progress();
    } else if (id !== undefined && this.#request.standalone === undefined) {
      this.#route.waits.begin(id, [this.clock]);
    }
    if (!this.#sink.event(event)) this.#isPaused = true;
  }

  #settle(answer: BackendMessage): void {
    const fault = faultOfAnswer(answer.message);
    if (fault !== undefined) {
      this.#failFault(fault);
      return;
    }
    this.#finish();
    this.#sink.answer(answer);
  }

  #streamEnded(): void {
    const { name } = this.#route.settings;
    const sentence = "ended its stream before it answered";
    this.#streamBroke(
      backendError(name, "backend_closed", sentence, { executionState: "unknown" }),
    );
  }

  /** What has come and was not taken yet stays: the stream goes on behind it. */
  #streamBroke(error: VmcpError): void {
    const position = this.#position;
    const isStandalone = this.#request.standalone !== undefined;
    const lastEventId = isStandalone ? undefined : position?.lastEventId;
    if (position === undefined || lastEventId === undefined) {
      this.#fail(error);
      return;
    }
    const delayMs = position.nextDelayMs(this.#phase === "stream");
    this.#phase = "resting";
    this.#isAnswered = false;
    this.#rest = DEADLINES.add(delayMs, () => this.#takeUpAgain(lastEventId));
  }

  #takeUpAgain(lastEventId: string): void {
    const { path, streams, requestHeaders } = this.#route;
    this.#phase = "resuming";
    const headers = [...toStreamHeaders(requestHeaders), "last-event-id", lastEventId];
    streams.dispatch({ path, method: "GET", headers }, this);
  }

  /** The request has long been sent: whatever is wrong now says nothing of whether it ran. */
  #acceptResumed(head: ResponseHead): void {
    const { status } = head;
    if (status === 200 && isEventStream(head)) {
      this.#beginStream();
    } else if (status >= 500 || PASSING_STATUSES.has(status)) {
      // Ends in an error of the connection, after which it is tried again.
      this.#control?.abort();
    } else {
      const { settings, backendSessionId } = this.#route;
      const sentence = `ended its stream before it answered and does not continue it (HTTP ${status})`;
      this.#fail(
        backendError(settings.name, "backend_closed", sentence, { executionState: "unknown" }),
      );
      const meaning = statusError(settings.name, head, backendSessionId !== undefined);
      if (meaning.code === "backend_session_lost") this.#route.lost(meaning);
    }
  }

  #expire(expiry: ClockExpiry, afterMs: number): void {
    const { name } = this.#route.settings;
    this.end(expiryError(name, expiry, afterMs, this.#isWritten ? "unknown" : "not_executed"));
  }

  #failProtocol(sentence: string): void {
    this.#failFault({ sentence, executionState: "unknown" });
  }

  #failFault({ sentence, executionState }: Fault): void {
    const { name } = this.#route.settings;
    this.#fail(backendError(name, "backend_protocol", sentence, { executionState }));
  }

  #failTooLarge(sentence: string): void {
    const { name } = this.#route.settings;
    this.#fail(backendError(name, "backend_too_large", sentence, { executionState: "unknown" }));
  }

  #failByStatus(head: ResponseHead): void {
    const { settings, backendSessionId } = this.#route;
    const error = statusError(settings.name, head, backendSessionId !== undefined);
    if (head.status === 400) this.#doubt(head, () => this.#fail(error));
    else this.#fail(error);
  }

  /** The refusal may be about this request or about its session: the backend is asked which. */
  #doubt({ status }: ResponseHead, ifAlive: () => void): void {
    const { settings, backendSessionId } = this.#route;
    if (backendSessionId === undefined || this.#isInitialize()) {
      ifAlive();
      return;
    }
    this.#phase = "doubting";
    void this.#decide(ifAlive, sessionLostError(settings.name, status));
  }

  async #decide(ifAlive: () => void, lost: VmcpError): Promise<void> {
    const isAlive = await this.#route.isSessionAlive();
    if (this.#isOver()) return;
    if (isAlive) ifAlive();
    else this.#fail(lost);
  }

  #fail(error: VmcpError): void {
    if (this.#phase === "over") return;
    this.#finish();
    if (error.code === "backend_session_lost") this.#route.lost(error);
    this.#sink.fail(this.#isInitialize() ? this.#explain(error) : error);
  }

  /** The first request meets URLs that are no MCP endpoint at all; then that is what is wrong. */
  #explain(error: VmcpError): VmcpError {
    const head = this.#head;
    const isForeign = error.code === "backend_protocol" || error.code === "backend_http_4xx";
    if (head === undefined || !isForeign || this.#spokeJsonRpc) return error;
    return notMcpError(this.#route.settings.name, "streamable HTTP", describeHead(head), error);
  }

  /** Over, and whatever the response still holds is read away so that the connection can be used again. */
  #finish(): void {
    this.#close();
    if (this.#control === undefined || !this.#isAnswered) return;
    this.#receivedBytes = 0;
    this.#drainDeadline = DEADLINES.add(MAX_DRAIN_MS, () => this.#control?.abort());
    this.#continueBody();
  }

  /**
   * Over before the answer: the request is broken off, and the backend hears that nobody waits for it. Only
   * `initialize` is left to the channel, which closes after it and may learn which session to end.
   */
  #leave(reason: string): void {
    this.#close();
    if (!this.#isWritten) return;
    if (this.#request.standalone !== undefined) {
      this.#control?.abort();
    } else if (!this.#isInitialize()) {
      const params = { requestId: this.#request.id, reason };
      this.#route.tell(encodeNotification("notifications/cancelled", params));
      this.#control?.abort();
    }
  }

  #close(): void {
    this.#phase = "over";
    this.clock.stop();
    this.#rest?.cancel();
    this.#events?.clear();
    this.#route.ended(this);
  }

  #continueBody(): void {
    if (!this.#isBodyPaused || (this.#isPaused && !this.#isOver())) return;
    this.#isBodyPaused = false;
    const control = this.#control;
    // What comes of it must not come from within another request's data.
    if (control !== undefined) queueMicrotask(() => control.resume());
  }

  #isOver(): boolean {
    return this.#phase === "over";
  }

  #isInitialize(): boolean {
    return this.#request.method === "initialize";
  }
}

/** Too many requests, or an earlier stream whose end the backend has not noticed yet. */
const PASSING_STATUSES: ReadonlySet<number> = new Set([409, 429]);

const NO_ANSWER: Fault = { sentence: "sent no answer", executionState: "unknown" };
