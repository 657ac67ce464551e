import { DEADLINES, type Deadline } from "../../lib/deadlines.ts";
import type {
  HttpRequest,
  RequestControl,
  RequestSender,
} from "../../lib/http-client/request-sender.ts";
import { expiryError } from "../failures.ts";
import { toConnectionError } from "../node-errors.ts";
import { readHead, statusError } from "./response-head.ts";

/** Accepting a message takes no body to speak of; one that keeps coming costs its connection. */
const MAX_IGNORED_BYTES = 65_536;
const MAX_IGNORED_MS = 2_000;

export interface OnceOptions {
  readonly backend: string;
  readonly isTls: boolean;
  readonly hasSession: boolean;
  /** Until the status is known; without it the signal alone ends the wait. */
  readonly timeoutMs?: number;
  /** Drops the request if nothing of it has left, else breaks it off; then nobody looks at the outcome. */
  readonly signal?: AbortSignal;
  /** Comes before the first byte leaves. */
  readonly onStart?: () => void;
}

/**
 * Makes a request whose answer is its status alone. Resolves on any 2xx as soon as its head has come, and
 * rejects with the error that the status or the broken connection means.
 */
export async function requestOnce(
  dispatcher: RequestSender,
  request: HttpRequest,
  options: OnceOptions,
): Promise<void> {
  const { backend, isTls, hasSession, timeoutMs, signal, onStart } = options;
  await new Promise<void>((resolve, reject) => {
    let control: RequestControl | undefined;
    let isUnwanted = signal?.aborted === true;
    let deadline: Deadline | undefined;
    let ignoredBytes = 0;
    const state = (): "unknown" | "not_executed" => (control ? "unknown" : "not_executed");
    const drop = (): void => {
      isUnwanted = true;
      control?.abort();
    };
    signal?.addEventListener("abort", drop, { once: true });
    if (timeoutMs !== undefined) {
      deadline = DEADLINES.add(timeoutMs, () => {
        reject(expiryError(backend, "backend_timeout", timeoutMs, state()));
        drop();
      });
    }
    dispatcher.dispatch(request, {
      onConnect(itsControl) {
        if (isUnwanted) throw new Error("nobody waits for this request any longer");
        control = itsControl;
        onStart?.();
      },
      onHeaders(status, headers) {
        if (status < 300) resolve();
        else reject(statusError(backend, readHead(status, headers), hasSession));
        deadline?.cancel();
        deadline = DEADLINES.add(MAX_IGNORED_MS, drop);
      },
      onData(chunk) {
        ignoredBytes += chunk.length;
        if (ignoredBytes > MAX_IGNORED_BYTES) control?.abort();
        return true;
      },
      onComplete() {
        deadline?.cancel();
        signal?.removeEventListener("abort", drop);
      },
      onError(thrown) {
        deadline?.cancel();
        signal?.removeEventListener("abort", drop);
        const isWritten = control !== undefined;
        reject(toConnectionError(backend, thrown, { isWritten, isTls }));
      },
    });
  });
}
