import type { Capability } from "../../domain/capabilities.ts";
import type { AnswerSink, Exchange, OutboundRequest } from "../../mcp/exchange.ts";
import { joined } from "../../mcp/message-bytes.ts";
import type { Channel, ClientProfile } from "../ports.ts";
import { envelopeOf, toEnvelopeJson } from "./envelope.ts";
import { readParamHeaders, type ParamHeader } from "./param-headers.ts";
import { withEnvelope, type NextRound } from "./request-bytes.ts";
import { mirrorHeaders } from "./request-headers.ts";

/** What a later round of a call is sent with. */
export interface RoundRequest extends NextRound {
  readonly id: string;
}

/**
 * Sends requests that stand alone: each says which revision it is of, who asks and what the client can do, in its
 * body and over HTTP in its headers too.
 */
export class StatelessWire {
  readonly kind: "http" | "stdio";
  readonly #channel: Pick<Channel, "forward">;
  readonly #client: Pick<ClientProfile, "capabilities" | "info">;
  #ownEnvelopeJson: string;
  #tools: readonly Capability[] = [];
  /** Per tool, made at its first call. */
  #paramHeaders: Map<string, readonly ParamHeader[]> | undefined;

  constructor(
    channel: Pick<Channel, "forward" | "standalone">,
    client: Pick<ClientProfile, "capabilities" | "info">,
  ) {
    this.kind = channel.standalone ?? "http";
    this.#channel = channel;
    this.#client = client;
    this.#ownEnvelopeJson = toEnvelopeJson(envelopeOf(client, undefined));
  }

  /** The level for requests that name none of their own; undefined asks for no messages. */
  setLogLevel(level: string | undefined): void {
    this.#ownEnvelopeJson = toEnvelopeJson(envelopeOf(this.#client, level));
  }

  /** The tools as the backend listed them last: they say which arguments are to be in headers. */
  useTools(tools: readonly Capability[]): void {
    this.#tools = tools;
    this.#paramHeaders = undefined;
  }

  forward(request: OutboundRequest, sink: AnswerSink, round?: RoundRequest): Exchange {
    return this.#send(request, sink, round, false);
  }

  /** For a request whose answer is a stream without an end. */
  listen(request: OutboundRequest, sink: AnswerSink): Exchange {
    return this.#send(request, sink, undefined, true);
  }

  #send(
    request: OutboundRequest,
    sink: AnswerSink,
    round: RoundRequest | undefined,
    isStream: boolean,
  ): Exchange {
    const { envelope, method, toolName } = request;
    const envelopeJson = envelope === undefined ? this.#ownEnvelopeJson : toEnvelopeJson(envelope);
    const bytes = withEnvelope(joined(request.bytes), envelopeJson, round);
    const id = round?.id ?? request.id;
    const headers =
      this.kind === "http" ? mirrorHeaders(bytes, method, this.#paramHeadersOf(toolName)) : [];
    return this.#channel.forward(
      { ...request, id, bytes, standalone: { headers, isStream } },
      sink,
    );
  }

  #paramHeadersOf(toolName: string | undefined): readonly ParamHeader[] {
    if (toolName === undefined) return [];
    this.#paramHeaders ??= new Map();
    const known = this.#paramHeaders.get(toolName);
    if (known !== undefined) return known;
    const tool = this.#tools.find(({ key }) => key === toolName);
    if (tool === undefined) return [];
    const read = readParamHeaders(tool.value);
    const headers = "headers" in read ? read.headers : [];
    this.#paramHeaders.set(toolName, headers);
    return headers;
  }
}
