import { VmcpError } from "../../domain/errors.ts";
import { isJsonObject } from "../../domain/json.ts";
import type { InboundRequest } from "../../mcp/inbound-message.ts";
import { spansAt } from "../../mcp/json-paths.ts";
import { ownerOf } from "../../session/identity-quota.ts";
import { HttpCaller } from "./http-caller.ts";
import type { Incoming } from "./incoming.ts";
import { toOwnRequest } from "./own-request.ts";
import { checkParamHeaders } from "./param-headers.ts";
import { ParkedRounds } from "./parked-rounds.ts";
import {
  invalidState,
  RequestStates,
  type OpenedState,
  type RoundBinding,
} from "./request-states.ts";
import { Round, type RoundHost } from "./round.ts";
import { subjectOf } from "./standard-headers.ts";
import type { StatelessSession } from "./stateless-session.ts";

export interface CallsOptions {
  /** See `RequestStates`. */
  readonly stateKeys: readonly string[];
  /** How long a client has to come back with what a backend asked it. */
  readonly clientAnswerMs: () => number;
}

/** Serves what goes to a backend, over as many rounds as that takes. */
export class Calls {
  readonly #states: RequestStates;
  readonly #parked: ParkedRounds;

  constructor({ stateKeys: keys, clientAnswerMs: lifetimeMs }: CallsOptions) {
    this.#states = new RequestStates({ keys, lifetimeMs });
    this.#parked = new ParkedRounds(lifetimeMs);
  }

  /** Throws what is refused before anything was sent: `header_mismatch`, `invalid_params`, and what the session throws. */
  serve(incoming: Incoming): void {
    const { request, envelope, own } = incoming;
    const binding = {
      sessionKey: own.key,
      method: request.method,
      subject: subjectOf(request) ?? "",
    };
    const opened = this.#openState(request, binding);
    // Each round says for itself what it wants to hear.
    own.wantLogs(envelope.logLevel);
    if (opened?.state.kind === "parked") this.#resume(opened, opened.state.handle, incoming);
    else this.#start(opened, binding, incoming);
  }

  /** No client can come back any more with what it was asked. */
  abandonParked(): void {
    this.#parked.abandonAll("The gateway is shutting down");
  }

  #start(opened: OpenedState | undefined, binding: RoundBinding, incoming: Incoming): void {
    const { http, request, envelope, own } = incoming;
    const { session } = own;
    const definition =
      request.method === "tools/call" ? session.toolDefinition?.(binding.subject) : undefined;
    if (definition !== undefined) {
      checkParamHeaders(http.headers, definition, request.params);
    }
    const relayed = opened?.state.kind === "relayed" ? opened.state : undefined;
    const { request: ownRequest, progressTokenJson } = toOwnRequest(request, {
      envelope,
      id: own.nextId(),
      ...(relayed !== undefined && { requestState: relayed.state }),
    });
    // The name may lead elsewhere by now, and what one server wrote for itself is no other server's to read.
    if (relayed !== undefined && (session.serverIdOf?.(ownRequest) ?? "") !== relayed.serverId) {
      throw invalidState();
    }
    const round = new Round(binding, this.#hostOf(own));
    const exchange = session.forward(ownRequest, round);
    opened?.use();
    round.follow(exchange, callerOf(incoming, progressTokenJson));
  }

  #resume(opened: OpenedState, handle: string, incoming: Incoming): void {
    const round = this.#parked.take(handle);
    opened.use();
    if (round === undefined) {
      throw new VmcpError(
        "invalid_params",
        "The call that this answers is no longer there: start again without requestState",
      );
    }
    round.resume(callerOf(incoming, progressTokenJsonOf(incoming.request)), incoming.request);
  }

  #openState({ params }: InboundRequest, binding: RoundBinding): OpenedState | undefined {
    const responses = params?.["inputResponses"];
    const areUsable =
      responses === undefined ||
      (isJsonObject(responses) && Object.values(responses).every((value) => isJsonObject(value)));
    if (!areUsable) {
      throw new VmcpError("invalid_params", '"params.inputResponses" must be an object of objects');
    }
    const sealed = params?.["requestState"];
    return sealed === undefined ? undefined : this.#states.open(sealed, binding);
  }

  #hostOf({ session, listeners }: StatelessSession): RoundHost {
    return {
      answer: (response) => session.answer(response),
      notify: ({ message: { method = "", params } }) => listeners.tell({ method, params }),
      park: (round) => {
        const handle = this.#parked.park(round, ownerOf(session.identity));
        return this.#states.seal({ kind: "parked", handle }, round.binding);
      },
      relay: (state, serverId, binding) =>
        this.#states.seal({ kind: "relayed", serverId, state }, binding),
    };
  }
}

function callerOf(
  { request, envelope, own, outlet, serverInfoJson }: Incoming,
  progressTokenJson: string | undefined,
): HttpCaller {
  return new HttpCaller({
    method: request.method,
    idJson: request.idJson,
    progressTokenJson,
    envelope,
    serverInfoJson,
    isShared: own.session.identity.kind === "anonymous",
    outlet,
  });
}

function progressTokenJsonOf({ bytes }: InboundRequest): string | undefined {
  const [token] = spansAt(bytes, ["params", "_meta", "progressToken"]);
  return token && bytes.toString("utf8", token.valueStart, token.valueEnd);
}
