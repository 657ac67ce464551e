import { DEADLINES, type Deadline } from "../lib/deadlines.ts";
import type { OutboundRequest } from "../mcp/exchange.ts";
import type { RequestId } from "../mcp/json-rpc.ts";
import type { BackendTimeouts } from "./options.ts";

/** Requests of a backend that stop one call's clock at a time; more than that do not stop it any longer. */
const MAX_AWAITED = 64;

/** Which patience ran out. */
export type ClockExpiry = "backend_timeout" | "client_answer_timeout";

/**
 * How long one call may still take.
 *
 * Progress starts its time anew, up to a cap for the whole call. While the backend waits for the client the
 * clock stands still and the client's own, longer patience counts instead.
 */
export class CallClock {
  readonly #timeoutMs: number;
  readonly #capMs: number;
  readonly #clientAnswerMs: number;
  readonly #deadline: Deadline;
  /** Made with the first wait: few calls ever have one. */
  #awaited: Set<RequestId> | undefined;
  /** Moves forward by every wait for the client, so that those do not count against the cap. */
  #startedAtMs = performance.now();
  #stoppedAtMs = 0;
  /** The deadline stands at the cap of the whole call. */
  #isCapSet = false;

  constructor(
    timeouts: BackendTimeouts,
    request: Pick<OutboundRequest, "timeoutMs" | "toolName">,
    onExpire: (expiry: ClockExpiry, afterMs: number) => void,
  ) {
    this.#timeoutMs = request.timeoutMs ?? timeOfTool(timeouts, request.toolName);
    this.#capMs = Math.max(timeouts.callMaxMs, this.#timeoutMs);
    this.#clientAnswerMs = timeouts.clientAnswerMs;
    this.#deadline = DEADLINES.add(this.#timeoutMs, () => {
      if (this.awaited.size > 0) onExpire("client_answer_timeout", this.#clientAnswerMs);
      else onExpire("backend_timeout", Math.round(performance.now() - this.#startedAtMs));
    });
  }

  /** The ids of the backend's requests that this call still waits for. */
  get awaited(): ReadonlySet<RequestId> {
    return this.#awaited ?? NOTHING_AWAITED;
  }

  progress(): void {
    if (this.awaited.size === 0) this.#run();
  }

  /** The backend has asked the client for something. */
  waitForClient(id: RequestId): void {
    this.#awaited ??= new Set();
    if (this.#awaited.size >= MAX_AWAITED) return;
    if (this.#awaited.size === 0) this.#stoppedAtMs = performance.now();
    this.#awaited.add(id);
    this.#isCapSet = false;
    this.#deadline.extend(this.#clientAnswerMs);
  }

  clientAnswered(id: RequestId): void {
    if (this.#awaited?.delete(id) !== true || this.#awaited.size > 0) return;
    this.#startedAtMs += performance.now() - this.#stoppedAtMs;
    this.#run();
  }

  stop(): void {
    this.#deadline.cancel();
  }

  #run(): void {
    const leftMs = this.#startedAtMs + this.#capMs - performance.now();
    if (this.#isCapSet && leftMs <= this.#timeoutMs) return;
    // Deadlines are coarse: one that was moved to the cap again and again would never come.
    this.#isCapSet = leftMs <= this.#timeoutMs;
    this.#deadline.extend(Math.max(0, Math.min(this.#timeoutMs, leftMs)));
  }
}

const NOTHING_AWAITED: ReadonlySet<RequestId> = new Set();

function timeOfTool({ callMs, toolsMs }: BackendTimeouts, toolName: string | undefined): number {
  const hasOwnTime = toolName !== undefined && Object.hasOwn(toolsMs, toolName);
  return (hasOwnTime ? toolsMs[toolName] : undefined) ?? callMs;
}
