import { rootCertificates } from "node:tls";
import type { Dispatcher } from "undici";
import { createCheckedLookup, isRefusedAddress } from "../../lib/checked-lookup.ts";
import { wholeUndici } from "../../lib/undici.ts";
import { EgressError } from "./egress-error.ts";

/** What may be asked, and how long and how much an answer may be. */
export interface EgressOptions {
  /** PEM, trusted besides the built-in authorities. Default: those alone. */
  readonly caBundle?: string | Buffer | undefined;
  /** Requests in clear text are sent too. Default false. */
  readonly allowHttp?: boolean | undefined;
  /** Loopback and private networks may be asked too. Default false. Link-local addresses never may. */
  readonly allowPrivateAddresses?: boolean | undefined;
  /** For one request with its whole answer. Default 10 s. */
  readonly timeoutMs?: number | undefined;
  /** Of one answer's body. Default 1 MiB. */
  readonly maxResponseBytes?: number | undefined;
}

/** The part of what `fetch` takes that authorization needs; fits the `customFetch` of jose and oauth4webapi. */
export interface EgressRequest {
  readonly method?: string | undefined;
  readonly headers?: Headers | Readonly<Record<string, string>> | undefined;
  readonly body?: string | Uint8Array | URLSearchParams | null | undefined;
  readonly signal?: AbortSignal | null | undefined;
}

/** Asks one URL and resolves with the whole answer, whatever its status. Rejects with `EgressError`. */
export type EgressFetch = (url: string | URL, request?: EgressRequest) => Promise<Response>;

const TIMEOUT_MS = 10_000;
const MAX_RESPONSE_BYTES = 1_048_576;
/** To one origin: whoever asks for credentials shares these. */
const MAX_CONNECTIONS = 8;
/** Statuses with which `Response` takes no body. */
const BODILESS_STATUSES: ReadonlySet<number> = new Set([204, 205, 304]);

/**
 * The one way from authorization to the outside: keys, tokens and introspection are asked for through here.
 *
 * It sends https only, dials no address that it was not allowed to (what is checked is what is dialled), follows no
 * redirect (one is an answer like any other), takes no compressed answer, and cuts what takes too long or is too
 * large. Disposing breaks whatever is under way.
 */
export class Egress implements AsyncDisposable {
  readonly #agent: Dispatcher;
  readonly #options: EgressOptions;

  constructor(options: EgressOptions = {}) {
    this.#options = options;
    const { Agent } = wholeUndici();
    this.#agent = new Agent({ factory: (origin) => this.#openPool(String(origin)) });
  }

  /** Bound, so that it can be handed on. */
  readonly fetch: EgressFetch = async (url, request = {}) => {
    const target = this.#check(url);
    const { timeoutMs = TIMEOUT_MS } = this.#options;
    const ending = new AbortController();
    const timer = setTimeout(() => {
      ending.abort(new EgressError("timeout", `no answer within ${String(timeoutMs)} ms`));
    }, timeoutMs);
    const { signal } = request;
    const leave = (): void => ending.abort(signal?.reason);
    if (signal?.aborted === true) leave();
    signal?.addEventListener("abort", leave, { once: true });
    try {
      return await this.#exchange(target, request, ending.signal);
    } catch (error) {
      throw EgressError.from(ending.signal.aborted ? ending.signal.reason : error);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", leave);
    }
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy();
  }

  #check(text: string | URL): URL {
    const { allowHttp = false, allowPrivateAddresses = false } = this.#options;
    const url = new URL(text);
    const isAllowed = url.protocol === "https:" || (url.protocol === "http:" && allowHttp);
    if (!isAllowed) throw new EgressError("refused", `${url.protocol} is not allowed; use https:`);
    if (url.username !== "" || url.password !== "") {
      throw new EgressError("refused", "a URL must not hold a user name or password");
    }
    if (isRefusedAddress(url.hostname, allowPrivateAddresses)) {
      throw new EgressError("refused", "the URL names an address that must not be asked");
    }
    return url;
  }

  async #exchange(url: URL, request: EgressRequest, signal: AbortSignal): Promise<Response> {
    const { method = "GET", body } = request;
    const answer = await this.#agent.request({
      origin: url.origin,
      path: url.pathname + url.search,
      method,
      headers: headersOf(request),
      body: body instanceof URLSearchParams ? body.toString() : (body ?? null),
      signal,
    });
    const headers = toHeaders(answer.headers);
    const coding = headers.get("content-encoding") ?? "identity";
    if (coding !== "identity") {
      // Being told so is not news to anybody.
      answer.body.on("error", () => {}).destroy();
      throw new EgressError("protocol", "the answer is compressed although none was asked for");
    }
    const bytes = await this.#read(answer.body);
    const { statusCode: status } = answer;
    return new Response(BODILESS_STATUSES.has(status) ? null : bytes, { status, headers });
  }

  async #read(body: Dispatcher.ResponseData["body"]): Promise<Uint8Array<ArrayBuffer>> {
    const { maxResponseBytes = MAX_RESPONSE_BYTES } = this.#options;
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of body) {
      // A body without an encoding comes in buffers.
      const bytes = chunk as Buffer;
      size += bytes.length;
      if (size > maxResponseBytes) {
        throw new EgressError("too_large", `the answer has over ${String(maxResponseBytes)} bytes`);
      }
      chunks.push(bytes);
    }
    return new Uint8Array(Buffer.concat(chunks));
  }

  #openPool(origin: string): Dispatcher {
    const { caBundle, allowPrivateAddresses = false, timeoutMs = TIMEOUT_MS } = this.#options;
    const { Pool } = wholeUndici();
    return new Pool(origin, {
      connections: MAX_CONNECTIONS,
      connect: {
        timeout: timeoutMs,
        lookup: createCheckedLookup(undefined, { mayLeadInside: allowPrivateAddresses }),
        // Given authorities replace the built-in ones, so that those are named along with them.
        ...(caBundle !== undefined && { ca: [...rootCertificates, caBundle] }),
      },
    });
  }
}

function headersOf({ headers, body }: EgressRequest): Record<string, string> {
  const own = headers instanceof Headers ? Object.fromEntries(headers) : headers;
  const isForm = body instanceof URLSearchParams;
  return {
    ...(isForm && { "content-type": "application/x-www-form-urlencoded;charset=UTF-8" }),
    ...own,
    "accept-encoding": "identity",
  };
}

function toHeaders(raw: Readonly<Record<string, string | string[] | undefined>>): Headers {
  const headers = new Headers();
  for (const [name, value = []] of Object.entries(raw)) {
    for (const each of [value].flat()) headers.append(name, each);
  }
  return headers;
}
