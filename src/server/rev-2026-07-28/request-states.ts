import { randomBytes } from "node:crypto";
import { VmcpError } from "../../domain/errors.ts";
import { isJsonObject, type JsonObject } from "../../domain/json.ts";
import { Sealer } from "../../lib/sealer.ts";

/** What a state was given out for; it is good for the same only. */
export interface RoundBinding {
  /** Stands for the identity and the name of its session. */
  readonly sessionKey: string;
  readonly method: string;
  readonly subject: string;
}

/** What the client brings back: the call of ours that waits for it, or what a stateless backend wants to see again. */
export type RequestState =
  | { readonly kind: "parked"; readonly handle: string }
  | {
      readonly kind: "relayed";
      /** The `Exchange.serverId` of the call that it answered; "" where servers are not told apart. */
      readonly serverId: string;
      readonly state: string;
    };

export interface OpenedState {
  readonly state: RequestState;
  /** From now on it opens no more. To be called when it has had its effect, in the same turn. */
  readonly use: () => void;
}

/** States that were used and could still be shown again; the oldest is forgotten first. */
const MAX_USED = 10_000;

const USE_ID_BYTES = 12;

export interface RequestStatesOptions {
  /** Secrets that every process of the gateway knows; none: what is given out is good in this process only. */
  readonly keys: readonly string[];
  /** How long a client has to come back. */
  readonly lifetimeMs: () => number;
  /** Milliseconds of the epoch, the same in every process. */
  readonly now?: () => number;
}

/**
 * What stands in `requestState` between two rounds of a request: sealed, bound to who asked for what, good for a while
 * and for one use.
 *
 * Source: MCP 2026-07-28, "Multi Round-Trip Requests", server requirements.
 */
export class RequestStates {
  readonly #sealer: Sealer;
  readonly #lifetimeMs: () => number;
  readonly #now: () => number;
  /** By the id of the use, when it is over anyway. */
  readonly #used = new Map<string, number>();

  constructor({ keys, lifetimeMs, now = Date.now }: RequestStatesOptions) {
    this.#sealer = new Sealer(keys);
    this.#lifetimeMs = lifetimeMs;
    this.#now = now;
  }

  /** How many uses are remembered. */
  get usedCount(): number {
    return this.#used.size;
  }

  seal(state: RequestState, binding: RoundBinding): string {
    const endsAtMs = this.#now() + this.#lifetimeMs();
    const useId = randomBytes(USE_ID_BYTES).toString("base64url");
    return this.#sealer.seal(JSON.stringify({ ...state, endsAtMs, useId }), contextOf(binding));
  }

  /**
   * Opens what `seal` gave out, as long as nobody used it. Throws `invalid_params`, always in the same words.
   */
  open(sealed: unknown, binding: RoundBinding): OpenedState {
    const text =
      typeof sealed === "string" ? this.#sealer.open(sealed, contextOf(binding)) : undefined;
    const content: unknown = text === undefined ? undefined : JSON.parse(text);
    const opened = isJsonObject(content) ? this.#read(content) : undefined;
    if (opened !== undefined) return opened;
    throw invalidState();
  }

  #read(content: JsonObject): OpenedState | undefined {
    const { kind, handle, serverId, state, endsAtMs, useId } = content;
    if (typeof endsAtMs !== "number" || typeof useId !== "string") return undefined;
    if (endsAtMs <= this.#now() || this.#used.has(useId)) return undefined;
    const use = (): void => this.#remember(useId, endsAtMs);
    if (kind === "parked" && typeof handle === "string") return { state: { kind, handle }, use };
    if (kind === "relayed" && typeof serverId === "string" && typeof state === "string") {
      return { state: { kind, serverId, state }, use };
    }
    return undefined;
  }

  /** All live equally long, so that the oldest ones end first. */
  #remember(useId: string, endsAtMs: number): void {
    this.#used.set(useId, endsAtMs);
    const now = this.#now();
    for (const [id, overAtMs] of this.#used) {
      if (overAtMs > now && this.#used.size <= MAX_USED) return;
      this.#used.delete(id);
    }
  }
}

/** The one refusal of every state that is no good, whatever is wrong with it. */
export function invalidState(): VmcpError {
  return new VmcpError(
    "invalid_params",
    '"params.requestState" is not one that was given out for this request, was used, or has expired: start again without it',
  );
}

/** No two bindings share a text, whatever characters they are made of. */
function contextOf({ sessionKey, method, subject }: RoundBinding): string {
  return JSON.stringify([sessionKey, method, subject]);
}
