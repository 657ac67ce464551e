import { randomUUID } from "node:crypto";
import type { AuditEventType } from "../domain/audit-event-types.ts";
import { VmcpError } from "../domain/errors.ts";
import type { JsonObject } from "../domain/json.ts";
import type { AuditLog, Interruption } from "./audit-log.ts";
import {
  clipData,
  encodeRecord,
  NO_SUBJECTS,
  OWN_SOURCE,
  type AuditEvent,
} from "./audit-record.ts";
import { AuditedCall, type AuditedCallOptions } from "./audited-call.ts";
import type { AuditedParty } from "./audited-party.ts";
import { contentOf, eventTypeOf, targetOf, type AuditedRequest } from "./audited-requests.ts";

export interface AuditOptions {
  /** Names the gateway in each record. */
  readonly component: string;
  /** Empty: all. */
  readonly eventTypes: readonly AuditEventType[];
  /** Goes before `eventTypes`. */
  readonly excludeEventTypes: readonly AuditEventType[];
  readonly includeRequestData: boolean;
  readonly includeResponseData: boolean;
  /** Whether a tool's result that says `isError` has an outcome of its own. */
  readonly detectApplicationErrors: boolean;
  /** The most of one request or result in a record, in bytes. */
  readonly maxDataSize: number;
  /** What becomes of that which has to be recorded first, while nothing can be written. */
  readonly onFailure: "deny" | "allow";
}

/** The waits between attempts to write again are shorter than this. */
const RETRY_AFTER_SECONDS = 2;

/**
 * Says what happened, one record for each event, and two for what takes a while and runs elsewhere: one before it
 * begins and one after its end.
 *
 * Where records cannot be written and `onFailure` is `deny`, whatever must be recorded first is refused with
 * `store_unavailable`. What has happened already is recorded as soon as that is possible.
 */
export class AuditTrail {
  readonly #options: AuditOptions;
  readonly #log: AuditLog;
  readonly #wanted: ReadonlySet<AuditEventType>;
  readonly #excluded: ReadonlySet<AuditEventType>;
  readonly #callOptions: AuditedCallOptions;
  #isStarted = false;

  constructor(options: AuditOptions, log: AuditLog) {
    this.#options = options;
    this.#log = log;
    this.#wanted = new Set(options.eventTypes);
    this.#excluded = new Set(options.excludeEventTypes);
    this.#callOptions = {
      ...options,
      record: (event) => this.#log.append(this.#encode(event)),
    };
  }

  /** The gateway begins to serve: finds out whether records can be written before there is much to say. */
  started(): void {
    this.#isStarted = true;
    this.#log.start();
    this.record(ownEvent("gateway_started"));
  }

  /** The gateway has ended in order: where this record is missing, it did not. Closes the log; safe to repeat. */
  stopped(): void {
    if (this.#isStarted) this.record(ownEvent("gateway_stopped"));
    this.#isStarted = false;
    this.#log[Symbol.dispose]();
  }

  records(type: AuditEventType): boolean {
    if (this.#excluded.has(type)) return false;
    return this.#wanted.size === 0 || this.#wanted.has(type);
  }

  /** Records are not written at the moment, and nothing is done without. */
  get isRefusing(): boolean {
    return this.#options.onFailure === "deny" && this.#log.interruption !== undefined;
  }

  /** For the status page. */
  status(): JsonObject {
    const { interruption, refused, lost } = this.#log;
    return {
      state: interruption === undefined ? "writing" : "failing",
      ...(interruption !== undefined && { reason: interruption.reason }),
      onFailure: this.#options.onFailure,
      refused,
      lost,
    };
  }

  /** Throws `store_unavailable` where an event of this type could not be recorded now and therefore must not be. */
  require(type: AuditEventType): void {
    if (this.records(type) && this.isRefusing) throw this.#refusal();
  }

  /** Records what has happened, now or as soon as that is possible. */
  record(event: AuditEvent): void {
    if (this.records(event.type)) this.#log.append(this.#encode(event));
  }

  /** Records what is about to happen at once. Throws `store_unavailable` where it therefore must not. */
  recordFirst(event: AuditEvent): void {
    if (this.records(event.type)) this.#appendFirst(event);
  }

  /**
   * Records that a request is about to be sent to a backend; undefined where such requests are not recorded.
   * Throws `store_unavailable` where it must not be sent.
   */
  callBegins(party: AuditedParty, request: AuditedRequest): AuditedCall | undefined {
    const type = eventTypeOf(request.method);
    if (!this.records(type)) return undefined;
    const { includeRequestData, maxDataSize } = this.#options;
    const auditId = randomUUID();
    const target = targetOf(request, includeRequestData);
    const { source, subjects } = party;
    const call = new AuditedCall(auditId, { type, source, subjects, target }, this.#callOptions);
    const data = includeRequestData
      ? { request: clipData(contentOf(request), maxDataSize) }
      : undefined;
    const extra = { phase: "start", call_id: auditId };
    const start = {
      type,
      outcome: "pending",
      source,
      subjects,
      target,
      extra,
      data,
      auditId,
    } as const;
    this.#appendFirst(start, (refusal) => call.failed(refusal));
    return call;
  }

  /** The line that ends an interruption. */
  static resumed(component: string): (interruption: Interruption) => string {
    return ({ sinceMs, reason, refused, lost }) =>
      encodeRecord(
        {
          ...ownEvent("audit_resumed"),
          data: { since: new Date(sinceMs).toISOString(), reason, refused, lost },
        },
        component,
      );
  }

  #appendFirst(event: AuditEvent, onTorn?: (refusal: VmcpError) => void): void {
    const line = this.#encode(event);
    if (this.#options.onFailure === "allow") {
      this.#log.append(line);
      return;
    }
    const outcome = this.#log.tryAppend(line);
    if (outcome === "written") return;
    const refusal = this.#refusal();
    if (outcome === "torn") onTorn?.(refusal);
    throw refusal;
  }

  #refusal(): VmcpError {
    this.#log.noteRefused();
    return new VmcpError(
      "store_unavailable",
      "The audit log cannot be written at the moment, so that nothing is done: try again later",
      { executionState: "not_executed", retryAfterSeconds: RETRY_AFTER_SECONDS },
    );
  }

  #encode(event: AuditEvent): string {
    return encodeRecord(event, this.#options.component);
  }
}

/** Something that the gateway does by itself. */
function ownEvent(type: AuditEventType): AuditEvent {
  return { type, outcome: "success", source: OWN_SOURCE, subjects: NO_SUBJECTS };
}
