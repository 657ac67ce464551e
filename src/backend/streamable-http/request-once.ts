import type { Dispatcher } from "undici";
import { DEADLINES } from "../../lib/deadlines.ts";
import { expiryError } from "../failures.ts";
import { toConnectionError } from "../node-errors.ts";
import { readHead, statusError } from "./response-head.ts";

/** Accepting a message takes no body to speak of; one that keeps coming costs its connection. */
const MAX_IGNORED_BYTES = 65_536;

export interface OnceOptions {
  readonly backend: string;
  readonly isTls: boolean;
  readonly hasSession: boolean;
  /** For the whole response, body included. */
  readonly timeoutMs: number;
}

/**
 * Makes a request whose answer is its status alone. Resolves on any 2xx as soon as its head has come, and
 * rejects with the error that the status or the broken connection means.
 */
export async function requestOnce(
  dispatcher: Dispatcher,
  request: Dispatcher.DispatchOptions,
  options: OnceOptions,
): Promise<void> {
  const { backend, isTls, hasSession, timeoutMs } = options;
  await new Promise<void>((resolve, reject) => {
    let abort: (() => void) | undefined;
    let isExpired = false;
    let ignoredBytes = 0;
    const state = (): "unknown" | "not_executed" => (abort ? "unknown" : "not_executed");
    const deadline = DEADLINES.add(timeoutMs, () => {
      isExpired = true;
      reject(expiryError(backend, "backend_timeout", timeoutMs, state()));
      abort?.();
    });
    dispatcher.dispatch(request, {
      onConnect(abortRequest) {
        if (isExpired) throw new Error("nobody waits for this request any longer");
        abort = abortRequest;
      },
      onHeaders(status, rawHeaders) {
        if (status >= 200 && status < 300) resolve();
        else if (status >= 300)
          reject(statusError(backend, readHead(status, rawHeaders), hasSession));
        return true;
      },
      onData(chunk) {
        ignoredBytes += chunk.length;
        if (ignoredBytes > MAX_IGNORED_BYTES) abort?.();
        return true;
      },
      onComplete() {
        deadline.cancel();
      },
      onError(thrown) {
        deadline.cancel();
        const isWritten = abort !== undefined;
        reject(toConnectionError(backend, thrown, { isWritten, isTls }));
      },
    });
  });
}
