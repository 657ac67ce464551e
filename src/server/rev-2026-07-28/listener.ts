import { isJsonObject, type JsonObject } from "../../domain/json.ts";
import { COMPLETE, SERVER_INFO_KEY, SUBSCRIPTION_ID_KEY } from "../../mcp/stateless-names.ts";
import type { AnswerOutlet } from "./answer-outlet.ts";
import { filterJson, isWanted, type ListenFilter } from "./listen-filter.ts";

/** News that waits for a slow reader; what is below a resource that is listened to may be any number of resources. */
const MAX_WAITING = 512;

export interface ListenerOptions {
  /** The id of the `subscriptions/listen`, as its client wrote it. */
  readonly idJson: string;
  readonly serverInfoJson: string;
  readonly outlet: AnswerOutlet;
}

/** A notification for listeners. */
export interface Notice {
  readonly method: string;
  readonly params: JsonObject | undefined;
}

/**
 * One open `subscriptions/listen`: nothing leaves before its acknowledgement, and each kind of news waits at most
 * once for a reader that is slow.
 */
export class Listener {
  readonly #options: ListenerOptions;
  readonly #waiting = new Map<string, Notice>();
  #filter: ListenFilter;
  #isAcknowledged = false;
  #isFull = false;

  constructor(filter: ListenFilter, options: ListenerOptions) {
    this.#filter = filter;
    this.#options = options;
  }

  get isAcknowledged(): boolean {
    return this.#isAcknowledged;
  }

  get filter(): ListenFilter {
    return this.#filter;
  }

  /** Says what of the filter is honoured; from then on news is sent. */
  acknowledge(honoured: ListenFilter): void {
    this.#filter = honoured;
    this.#isAcknowledged = true;
    this.#options.outlet.begin();
    this.#send({ method: ACKNOWLEDGED, params: { notifications: filterJson(honoured) } });
    this.#flush();
  }

  tell(notice: Notice): void {
    const { method, params } = notice;
    if (!isWanted(this.#filter, method, params)) return;
    const uri = params?.["uri"];
    this.#waiting.set(typeof uri === "string" ? `${method} ${uri}` : method, notice);
    const [oldest] = this.#waiting.keys();
    if (this.#waiting.size > MAX_WAITING && oldest !== undefined) this.#waiting.delete(oldest);
    this.#flush();
  }

  /** The reader can take more. */
  drained(): void {
    this.#isFull = false;
    this.#flush();
  }

  /** The end in good order: the answer to the request, which says nothing but whose it is. */
  end(): void {
    const { idJson, serverInfoJson, outlet } = this.#options;
    const meta = `{"${SERVER_INFO_KEY}":${serverInfoJson},"${SUBSCRIPTION_ID_KEY}":${idJson}}`;
    const result = `{"resultType":"${COMPLETE}","_meta":${meta}}`;
    outlet.end(Buffer.from(`{"jsonrpc":"2.0","id":${idJson},"result":${result}}`));
  }

  #flush(): void {
    if (!this.#isAcknowledged) return;
    for (const [key, notice] of this.#waiting) {
      if (this.#isFull) return;
      this.#waiting.delete(key);
      this.#send(notice);
    }
  }

  #send({ method, params }: Notice): void {
    const { idJson, outlet } = this.#options;
    const { _meta: given, ...rest } = params ?? {};
    const { [SUBSCRIPTION_ID_KEY]: _theirs, ...others } = isJsonObject(given) ? given : {};
    const meta = `{"${SUBSCRIPTION_ID_KEY}":${idJson}${membersOf(others)}}`;
    const message = `{"jsonrpc":"2.0","method":"${method}","params":{"_meta":${meta}${membersOf(rest)}}}`;
    if (!outlet.send(Buffer.from(message))) this.#isFull = true;
  }
}

/** To be written behind another member. */
function membersOf(object: JsonObject): string {
  const json = JSON.stringify(object).slice(1, -1);
  return json === "" ? "" : `,${json}`;
}

const ACKNOWLEDGED = "notifications/subscriptions/acknowledged";
