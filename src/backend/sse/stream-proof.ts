import { DEADLINES, type Deadline } from "../../lib/deadlines.ts";
import { encodeRequest, OWN_ID_PREFIX } from "../../mcp/json-rpc.ts";

/** How long the answer to a ping may take that the backend has accepted; a call's own time where that is shorter. */
const MAX_PATIENCE_MS = 30_000;

export interface StreamProofOptions {
  /** How much has come on the stream so far, in any unit: it grows with whatever comes. */
  readonly heard: () => number;
  /** Sends a message beside the stream. Rejects where the backend did not accept it. */
  readonly send: (message: Buffer) => Promise<void>;
  /** How long a call may take. */
  readonly callMs: number;
  /** The backend accepts what it is sent, and nothing of what it says arrives. */
  readonly onSilent: () => void;
}

/**
 * Finds out whether anything still comes on a stream that is read and never written to.
 *
 * Such a connection can be dead without anybody being told, and then every call waits in vain. Silence alone
 * proves nothing: it counts only against a backend that has just accepted a ping. One that is too busy to accept it
 * is left in peace. One proof runs at a time.
 */
export class StreamProof {
  readonly #options: StreamProofOptions;
  #phase: "idle" | "proving" | "stopped" = "idle";
  #deadline: Deadline | undefined;
  #pings = 0;

  constructor(options: StreamProofOptions) {
    this.#options = options;
  }

  /** To be called when an answer did not come. Its outcome comes to `onSilent`, or to nobody. */
  begin(): void {
    if (this.#phase !== "idle") return;
    this.#phase = "proving";
    void this.#prove();
  }

  stop(): void {
    this.#phase = "stopped";
    this.#deadline?.cancel();
  }

  async #prove(): Promise<void> {
    const { heard, send, callMs, onSilent } = this.#options;
    const heardBefore = heard();
    this.#pings += 1;
    try {
      await send(encodeRequest(`${OWN_ID_PREFIX}proof:${this.#pings}`, "ping"));
    } catch {
      // Whoever does not accept anything has said nothing about the stream.
      this.#rest();
      return;
    }
    if (this.#isStopped()) return;
    this.#deadline = DEADLINES.add(Math.min(callMs, MAX_PATIENCE_MS), () => {
      this.#rest();
      if (heard() === heardBefore) onSilent();
    });
  }

  #rest(): void {
    if (!this.#isStopped()) this.#phase = "idle";
  }

  #isStopped(): boolean {
    return this.#phase === "stopped";
  }
}
