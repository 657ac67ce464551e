import type { BackendGreeting } from "../../domain/capabilities.ts";
import type { VmcpError } from "../../domain/errors.ts";
import { isJsonObject, type JsonObject } from "../../domain/json.ts";
import { DEADLINES, type Deadline } from "../../lib/deadlines.ts";
import {
  ENDED_EXCHANGE,
  type AnswerSink,
  type BackendMessage,
  type Exchange,
  type OutboundRequest,
} from "../../mcp/exchange.ts";
import {
  INVALID_PARAMS,
  METHOD_NOT_FOUND,
  OWN_ID_PREFIX,
  type JsonRpcError,
} from "../../mcp/json-rpc.ts";
import type { BackendSettings } from "../options.ts";
import type { ConnectionListener } from "../ports.ts";
import { StreamPosition } from "../streamable-http/stream-position.ts";
import { Listening, type Filter } from "./listening.ts";
import { errorAnswer, paramsOf } from "./local-requests.ts";
import { PendingSubscription } from "./pending-subscription.ts";
import type { StatelessWire } from "./stateless-wire.ts";
import { changeNotices, subscriptionIdOf, withoutSubscriptionId } from "./subscription-messages.ts";
import { UnheardUris } from "./unheard-uris.ts";

/** What one connection may be subscribed to. */
const MAX_URIS = 1_000;

export interface SubscriptionsOptions {
  readonly wire: StatelessWire;
  readonly greeting: BackendGreeting;
  readonly settings: BackendSettings;
  readonly listener: ConnectionListener;
}

/**
 * What one connection wants to hear of its backend, and the one stream on which it does.
 *
 * Another wish opens another stream, and the old one is left once the backend has confirmed the new one, so that
 * nothing is missed. A stream that breaks is opened again after a pause; as nobody knows what was missed meanwhile,
 * everything is then reported as changed. So is a resource that a new stream does not tell of any more, or tells of
 * again: who is subscribed looks at it, and finds what has become of it.
 */
export class Subscriptions {
  readonly #options: SubscriptionsOptions;
  readonly #uris = new Set<string>();
  readonly #pending = new Set<PendingSubscription>();
  readonly #unheard = new UnheardUris();
  #position: StreamPosition | undefined;
  #wantsLists = false;
  #count = 0;
  #current: Listening | undefined;
  #next: Listening | undefined;
  #retry: Deadline | undefined;
  /** Something may have changed while no stream was there. */
  #hasGap = false;
  #isRenewing = false;
  #isClosed = false;

  constructor(options: SubscriptionsOptions) {
    this.#options = options;
  }

  /** Wants to hear of changed lists. Safe to repeat. */
  open(): void {
    if (this.#wantsLists || this.#isClosed) return;
    this.#wantsLists = true;
    this.#renew();
  }

  /** Answers once the backend has confirmed it, or has not. */
  subscribe(request: OutboundRequest, sink: AnswerSink): Exchange {
    const { uri } = paramsOf(request.bytes);
    const refusal = this.#refusal(uri);
    if (refusal !== undefined || typeof uri !== "string") {
      const error = refusal ?? { code: INVALID_PARAMS, message: "The uri must be a text" };
      queueMicrotask(() => sink.answer(errorAnswer(request, error)));
      return ENDED_EXCHANGE;
    }
    const { settings } = this.#options;
    const wasHeld = this.#uris.has(uri) && !this.#isPending(uri);
    const pending = new PendingSubscription(uri, request, sink, settings, (isHeld) => {
      this.#pending.delete(pending);
      // What was given up, or refused, does not stand in the next stream.
      if (!isHeld && !wasHeld && !this.#isPending(uri)) this.#uris.delete(uri);
    });
    this.#pending.add(pending);
    this.#uris.add(uri);
    this.#renew();
    return pending;
  }

  unsubscribe({ bytes }: OutboundRequest): void {
    const { uri } = paramsOf(bytes);
    if (typeof uri === "string" && this.#uris.delete(uri)) this.#renew();
  }

  /** Takes a message that came on no stream of its own; false where it belongs to no subscription at all. */
  receive(message: BackendMessage): boolean {
    const isTaken = [this.#current, this.#next].some((one) => one?.offer(message) === true);
    return isTaken || subscriptionIdOf(message.message) !== undefined;
  }

  close(): void {
    this.#isClosed = true;
    this.#retry?.cancel();
    this.#current?.cancel();
    this.#next?.cancel();
    for (const pending of this.#pending) pending.drop();
  }

  #isPending(uri: string): boolean {
    return [...this.#pending].some((pending) => pending.uri === uri);
  }

  #refusal(uri: unknown): JsonRpcError | undefined {
    const { settings, greeting } = this.#options;
    const { resources } = greeting.capabilities;
    if (!isJsonObject(resources) || resources["subscribe"] !== true) {
      const message = `Backend "${settings.name}" does not offer subscriptions to resources`;
      return { code: METHOD_NOT_FOUND, message };
    }
    if (this.#uris.size < MAX_URIS || (typeof uri === "string" && this.#uris.has(uri))) {
      return undefined;
    }
    const message = `No more than ${MAX_URIS} resources of a backend can be subscribed to`;
    return { code: INVALID_PARAMS, message };
  }

  /** Many wishes that come together are one stream. */
  #renew(): void {
    if (this.#isRenewing) return;
    this.#isRenewing = true;
    queueMicrotask(() => {
      this.#isRenewing = false;
      this.#openStream();
    });
  }

  /** Opens a stream for what is wanted now; what was opened before and has not been confirmed is given up. */
  #openStream(): void {
    this.#retry?.cancel();
    this.#next?.cancel();
    this.#next = undefined;
    const filter = this.#filter();
    if (this.#isClosed || Object.keys(filter).length === 0) {
      this.#current?.cancel();
      this.#current = undefined;
      return;
    }
    this.#count += 1;
    const id = `${OWN_ID_PREFIX}listen:${this.#count}`;
    const listening = new Listening(id, filter, {
      confirmed: (honoured) => this.#confirmed(listening, honoured),
      heard: (message) => this.#heard(listening, message),
      refused: (error) => this.#refused(listening, error),
      broke: (error) => this.#broke(listening, error),
    });
    this.#next = listening;
    listening.start(this.#options.wire);
  }

  #filter(): Filter {
    const { capabilities } = this.#options.greeting;
    const wants = (kind: string): boolean => {
      const announced = capabilities[kind];
      return this.#wantsLists && isJsonObject(announced) && announced["listChanged"] === true;
    };
    return {
      ...(wants("tools") && { toolsListChanged: true }),
      ...(wants("prompts") && { promptsListChanged: true }),
      ...(wants("resources") && { resourcesListChanged: true }),
      ...(this.#uris.size > 0 && { resourceSubscriptions: [...this.#uris] }),
    };
  }

  #confirmed(listening: Listening, honoured: JsonObject): void {
    if (listening !== this.#next) return;
    this.#current?.cancel();
    this.#current = listening;
    this.#next = undefined;
    const uris: unknown = honoured["resourceSubscriptions"];
    const confirmed = new Set<unknown>(Array.isArray(uris) ? uris : []);
    for (const pending of this.#pending) {
      const isConfirmed = confirmed.has(pending.uri);
      if (!isConfirmed) this.#uris.delete(pending.uri);
      pending.settle(isConfirmed);
    }
    const unheard = this.#noteUnheard(confirmed);
    const missed = this.#hasGap ? listening.filter : { resourceSubscriptions: unheard };
    this.#hasGap = false;
    for (const notice of changeNotices(missed)) this.#options.listener.unsolicited(notice);
  }

  /** Returns the resources to be looked at again because of what the backend tells of from now on. */
  #noteUnheard(honoured: ReadonlySet<unknown>): readonly string[] {
    const { lost, regained } = this.#unheard.compare(this.#uris, honoured);
    const { logger, name: backend } = this.#options.settings;
    if (lost.length > 0) {
      const count = lost.length;
      logger.warn("backend no longer tells of resources that were subscribed to", {
        backend,
        count,
      });
    }
    return [...lost, ...regained];
  }

  #heard(listening: Listening, message: BackendMessage): void {
    if (listening !== this.#current) return;
    this.#position = undefined;
    this.#options.listener.unsolicited(withoutSubscriptionId(message));
  }

  #refused(listening: Listening, error: JsonRpcError): void {
    for (const pending of this.#pending) {
      this.#uris.delete(pending.uri);
      pending.refuse(error);
    }
    const { settings } = this.#options;
    settings.logger.warn("backend refuses to tell of changes", {
      backend: settings.name,
      code: error.code,
    });
    const isFinal = error.code === METHOD_NOT_FOUND || error.code === INVALID_PARAMS;
    if (isFinal) this.#forget(listening);
    else this.#retryLater(listening);
  }

  #broke(listening: Listening, error: VmcpError | undefined): void {
    for (const pending of this.#pending) {
      if (error === undefined || listening !== this.#next) continue;
      this.#uris.delete(pending.uri);
      pending.fail(error);
    }
    this.#retryLater(listening);
  }

  #forget(listening: Listening): void {
    if (listening === this.#current) this.#current = undefined;
    if (listening === this.#next) this.#next = undefined;
  }

  #retryLater(listening: Listening): void {
    const wasCurrent = listening === this.#current;
    this.#forget(listening);
    if (wasCurrent) this.#hasGap = true;
    // Another stream is about to be confirmed, or there still is one.
    if (this.#isClosed || this.#next !== undefined || this.#current !== undefined) return;
    const { timeouts, logger, name } = this.#options.settings;
    this.#position ??= new StreamPosition(timeouts);
    const delayMs = this.#position.nextDelayMs(wasCurrent);
    logger.debug("backend ended the stream on which it tells of changes", {
      backend: name,
      delayMs,
    });
    this.#retry = DEADLINES.add(delayMs, () => this.#openStream());
  }
}
