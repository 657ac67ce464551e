import type { IncomingHttpHeaders } from "node:http";

/** One message that a backend received, whatever it was. */
export interface ReceivedMessage {
  /** The tag of the backend session, as `whoami` shows it. */
  readonly session: string;
  readonly method: string | undefined;
  readonly id: string | number | undefined;
  /** The message as it came. */
  readonly text: string;
  /** Of the HTTP request that carried it; empty on stdio. */
  readonly headers: IncomingHttpHeaders;
}

/** One execution of a tool. Written down before the tool does anything. */
export interface RecordedCall {
  readonly session: string;
  readonly tool: string;
  /** `arguments.nonce` where it is a string. */
  readonly nonce: string | undefined;
  /** The JSON text of `arguments` as it came. */
  readonly argumentsText: string | undefined;
  /** From `performance.now()`. */
  readonly atMs: number;
  readonly headers: IncomingHttpHeaders;
}

export interface RecordedCancellation {
  readonly session: string;
  readonly requestId: unknown;
  readonly reason: unknown;
  /** From `performance.now()`. */
  readonly atMs: number;
  /** Whether the request was still being worked on. */
  readonly wasInFlight: boolean;
}

/**
 * Everything that happened to a backend, in the order in which it happened. Grows without bound: it lives as
 * long as one test.
 */
export interface Ledger {
  readonly messages: ReceivedMessage[];
  readonly initializes: ReceivedMessage[];
  readonly calls: RecordedCall[];
  readonly cancellations: RecordedCancellation[];
  /** Tags of the sessions that were ended by the other side: HTTP DELETE, or end of input on stdio. */
  readonly deletes: string[];
}

export function emptyLedger(): Ledger {
  return { messages: [], initializes: [], calls: [], cancellations: [], deletes: [] };
}

/** The nonces of all executions; one that comes twice was executed twice. */
export function noncesOf(ledger: Ledger): readonly string[] {
  return ledger.calls.flatMap((call) => (call.nonce === undefined ? [] : [call.nonce]));
}
