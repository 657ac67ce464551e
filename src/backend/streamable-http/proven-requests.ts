import { VmcpError } from "../../domain/errors.ts";
import type { Identity } from "../../domain/identity.ts";
import { DEADLINES, type Deadline } from "../../lib/deadlines.ts";
import type {
  HttpRequest,
  RequestControl,
  RequestSender,
  ResponseHandler,
} from "../../lib/http-client/request-sender.ts";
import { joined } from "../../mcp/message-bytes.ts";
import type {
  CredentialsRefusal,
  HeaderList,
  OutgoingCredentials,
  RequestToProve,
} from "../credentials.ts";
import type { Principal } from "../transports.ts";
import type { Endpoint } from "./endpoint.ts";

/** A refusal has little to say; one that goes on costs its connection. */
const MAX_REFUSAL_BYTES = 65_536;
const MAX_REFUSAL_MS = 2_000;

/** The way to a backend on which every request carries the credentials of whoever it is made for. */
export function provenEndpoint(
  endpoint: Endpoint,
  credentials: OutgoingCredentials,
  principal: Principal,
): Endpoint {
  const { calls, control, streams } = endpoint.pools;
  const prove = (sender: RequestSender): RequestSender => ({
    dispatch(request, handler) {
      new ProvenRequest(sender, request, handler, {
        credentials,
        identity: principal.identity(),
        opensLinks: principal.opensLinks,
        host: endpoint.url.host,
      }).send();
    },
  });
  return {
    ...endpoint,
    pools: { calls: prove(calls), control: prove(control), streams: prove(streams) },
  };
}

interface Proof {
  readonly credentials: OutgoingCredentials;
  readonly identity: Identity;
  readonly opensLinks: boolean;
  readonly host: string;
}

/**
 * One request with credentials, sent once more with others where the backend refuses the first ones: what it
 * refused for that it did not run. Whoever made the request hears of the last answer only.
 */
class ProvenRequest implements ResponseHandler {
  readonly #sender: RequestSender;
  readonly #request: HttpRequest;
  readonly #handler: ResponseHandler;
  readonly #proof: Proof;
  #headers: HeaderList = [];
  #isSecond = false;
  /** That the first answer was a refusal, which nobody else hears of. */
  #refusal: CredentialsRefusal | undefined;
  #isSwallowing = false;
  #refusalBytes = 0;
  #refusalDeadline: Deadline | undefined;
  #control: RequestControl | undefined;

  constructor(sender: RequestSender, request: HttpRequest, handler: ResponseHandler, proof: Proof) {
    this.#sender = sender;
    this.#request = request;
    this.#handler = handler;
    this.#proof = proof;
  }

  send(): void {
    const { credentials, identity } = this.#proof;
    try {
      const headers = credentials.headersFor(identity, this.#toProve());
      if (headers instanceof Promise) void this.#sendWhenProven(headers);
      else this.#dispatch(headers);
    } catch (thrown) {
      this.#failSoon(thrown);
    }
  }

  onConnect(control: RequestControl): void {
    this.#control = control;
    this.#handler.onConnect(control);
  }

  onHeaders(status: number, headers: readonly string[]): void {
    if (!this.#isSecond && (status === 401 || status === 403)) {
      const { credentials, identity } = this.#proof;
      const challenge = challengeIn(headers);
      const refusal = { status, challenge, headers: this.#headers };
      this.#isSwallowing = credentials.refused(identity, refusal);
      this.#refusal = refusal;
      if (this.#isSwallowing) {
        this.#refusalDeadline = DEADLINES.add(MAX_REFUSAL_MS, () => this.#control?.abort());
        return;
      }
    }
    this.#handler.onHeaders(status, headers);
  }

  onData(chunk: Buffer): boolean {
    if (!this.#isSwallowing) return this.#handler.onData(chunk);
    this.#refusalBytes += chunk.length;
    if (this.#refusalBytes > MAX_REFUSAL_BYTES) this.#control?.abort();
    return true;
  }

  onComplete(): void {
    if (this.#isSwallowing) this.#sendAgain();
    else this.#handler.onComplete();
  }

  onError(error: Error): void {
    if (this.#isSwallowing) this.#sendAgain();
    else this.#handler.onError(error);
  }

  #sendAgain(): void {
    this.#refusalDeadline?.cancel();
    this.#isSwallowing = false;
    this.#isSecond = true;
    this.send();
  }

  async #sendWhenProven(headers: Promise<HeaderList>): Promise<void> {
    try {
      this.#dispatch(await headers);
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  #dispatch(headers: HeaderList): void {
    this.#headers = headers;
    const all = [...this.#ownHeaders(), ...headers];
    this.#sender.dispatch({ ...this.#request, headers: all }, this);
  }

  #toProve(): RequestToProve {
    const { method, path, body } = this.#request;
    return {
      method,
      path,
      host: this.#proof.host,
      headers: this.#ownHeaders(),
      get body() {
        return body && joined(body);
      },
      ...(this.#refusal !== undefined && { refusal: this.#refusal }),
    };
  }

  #ownHeaders(): HeaderList {
    return this.#request.headers;
  }

  /** Whoever asked must have its request in hand before it hears of the end. */
  #failSoon(thrown: unknown): void {
    queueMicrotask(() => this.#fail(thrown));
  }

  #fail(thrown: unknown): void {
    const error = VmcpError.from(thrown);
    const isTooMuch = error.code === "sign_in_required" && !this.#proof.opensLinks;
    this.#handler.onError(isTooMuch ? inWords(error) : error);
  }
}

/** For a client that has no way to be told of links but words. */
function inWords({ message, backend, cause, data }: VmcpError): VmcpError {
  return new VmcpError("backend_auth", message, {
    cause,
    executionState: "not_executed",
    ...(backend !== undefined && { backend }),
    ...(data !== undefined && { data }),
  });
}

function challengeIn(headers: readonly string[]): string | undefined {
  const values = headers.filter(
    (_, index) => index % 2 === 1 && headers[index - 1] === "www-authenticate",
  );
  return values.length === 0 ? undefined : values.join(", ");
}
