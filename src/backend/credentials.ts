import type { Identity } from "../domain/identity.ts";

/** Names and values in turn; names in lower case. */
export type HeaderList = readonly string[];

/** A request as it is about to leave for a backend. */
export interface RequestToProve {
  readonly method: string;
  /** Host with port, as the `Host` header names it. */
  readonly host: string;
  /** With the query. */
  readonly path: string;
  /** The headers it carries besides those that are asked for. */
  readonly headers: HeaderList;
  /** Exactly what is sent. */
  readonly body: Buffer | undefined;
  /** What became of it when it was sent before, with other credentials or none. */
  readonly refusal?: CredentialsRefusal;
}

/** A backend's answer to a request that it did not accept the credentials of. */
export interface CredentialsRefusal {
  /** 401 or 403. */
  readonly status: number;
  /** The `WWW-Authenticate` header, where there is one. */
  readonly challenge: string | undefined;
  /** What `headersFor` had given for that request. */
  readonly headers: HeaderList;
}

/** How the gateway proves itself to one backend. */
export interface OutgoingCredentials {
  /** Each user has credentials of their own, so that the backend can tell users apart. */
  readonly isPerUser: boolean;
  /**
   * The headers that prove the request, for whoever it is made for. Given at once where nothing has to be asked
   * for. Throws or rejects with `backend_auth`, `not_executed`, where there are none to be had.
   */
  headersFor(identity: Identity, request: RequestToProve): HeaderList | Promise<HeaderList>;
  /** The backend did not accept them. True where the same request may be sent once more with others. */
  refused(identity: Identity, refusal: CredentialsRefusal): boolean;
}
