import { VmcpError } from "../../domain/errors.ts";
import { DEADLINES, type Deadline } from "../../lib/deadlines.ts";
import type { SharedCall } from "../shared-call.ts";

/** How long a backend may still take to acknowledge a message whose answer has come, or is of no more use. */
const MAX_LINGER_MS = 2_000;

/** Sends the bytes and resolves once they are accepted. The signal drops or breaks off the request. */
export type Post = (signal: AbortSignal, onStart: () => void) => Promise<void>;

/**
 * The request that carries one call to the backend.
 *
 * That it was accepted says nothing of the call, whose answer may even come before; that it was not is the
 * end of the call.
 */
export class MessagePost {
  readonly #call: SharedCall;
  readonly #leaving = new AbortController();
  #linger: Deadline | undefined;
  #isDone = false;

  constructor(call: SharedCall) {
    this.#call = call;
  }

  /** Resolves with the error that ended the call, if sending it did. Never rejects. */
  async run(post: Post): Promise<VmcpError | undefined> {
    try {
      await post(this.#leaving.signal, () => this.#call.onStart());
      return undefined;
    } catch (thrown) {
      if (this.#call.isOver) return undefined;
      const error = VmcpError.from(thrown);
      this.#call.fail(error);
      return error;
    } finally {
      this.#isDone = true;
      this.#linger?.cancel();
    }
  }

  /** Nobody waits for the answer any longer: what has not left never will, and what has is given little time. */
  end(): void {
    if (this.#isDone) return;
    if (this.#call.isWritten) {
      this.#linger ??= DEADLINES.add(MAX_LINGER_MS, () => this.#leaving.abort());
    } else {
      this.#leaving.abort();
    }
  }
}
