import type { JsonObject } from "../domain/json.ts";
import type { BackendMessage } from "../mcp/exchange.ts";
import { encodeRequest, METHOD_NOT_FOUND, OWN_ID_PREFIX } from "../mcp/json-rpc.ts";
import { backendError } from "./node-errors.ts";
import type { Channel } from "./ports.ts";

interface Question {
  readonly method: string;
  readonly params?: JsonObject;
  readonly timeoutMs?: number;
}

/** Sends one of the gateway's own requests and resolves with its answer, be it a result or an error. */
export type Ask = (question: Question, signal: AbortSignal) => Promise<BackendMessage>;

/**
 * Makes the way in which a connection asks for itself. Its ids carry the prefix that clients may not use, and
 * a part of their own besides, so that they meet no other id of the gateway. What else comes on the way to an
 * answer goes to `overhear`. `asked` is how many questions the channel has carried before: no id may come again.
 */
export function createAsk(
  channel: Pick<Channel, "forward">,
  overhear: (message: BackendMessage) => void,
  asked = 0,
): Ask {
  let count = asked;
  return async ({ method, params, timeoutMs }, signal) => {
    signal.throwIfAborted();
    count += 1;
    const id = `${OWN_ID_PREFIX}own:${count}`;
    const bytes = encodeRequest(id, method, params);
    return new Promise<BackendMessage>((resolve, reject) => {
      const exchange = channel.forward(
        { id, method, bytes, ...(timeoutMs !== undefined && { timeoutMs }) },
        {
          event(message) {
            overhear(message);
            return true;
          },
          answer(message) {
            signal.removeEventListener("abort", giveUp);
            resolve(message);
          },
          fail(error) {
            signal.removeEventListener("abort", giveUp);
            reject(error);
          },
        },
      );
      const giveUp = (): void => {
        exchange.cancel("The gateway no longer waits for it");
        reject(signal.reason);
      };
      signal.addEventListener("abort", giveUp, { once: true });
    });
  };
}

/**
 * The result of an answer, or undefined where the backend does not know the method. Any other error of the
 * backend throws `backend_protocol`: the gateway's own requests are ones that every backend must be able to
 * answer.
 */
export function resultOf(
  backend: string,
  method: string,
  { message }: BackendMessage,
): JsonObject | undefined {
  if (message.result !== undefined) return message.result;
  const code = message.error?.code;
  if (code === METHOD_NOT_FOUND) return undefined;
  throw backendError(backend, "backend_protocol", `answered ${method} with error ${code ?? "?"}`, {
    executionState: "executed",
  });
}
