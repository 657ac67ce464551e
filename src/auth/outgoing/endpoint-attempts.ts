import { setTimeout as delay } from "node:timers/promises";
import { EgressError } from "../egress/egress-error.ts";
import type { EgressFetch } from "../egress/egress.ts";
import { credentialsError } from "./credentials-error.ts";
import type { EndpointBreakers } from "./endpoint-breakers.ts";

/** A place that gives out credentials, and for which backend. */
export interface CredentialEndpoint {
  /** As messages name it. */
  readonly backend: string;
  readonly url: string;
  readonly fetch: EgressFetch;
  readonly breakers: EndpointBreakers;
}

/** Before the second and third attempt. */
const BACKOFFS_MS = [100, 200] as const;

/** Whoever waited longer than this for one answer does not try again. */
const PATIENCE_MS = 5_000;

/** Longest a client is told to wait. */
const MAX_RETRY_AFTER_SECONDS = 60;

/**
 * Asks an endpoint by `attempt`, which is to use the `fetch` that it is given. What may pass (no connection, 429,
 * 5xx) is tried three times within a few seconds; an endpoint that goes on failing is left alone for a while.
 * Rejects with `backend_auth` then, and otherwise with what `attempt` threw.
 */
export async function askPatiently<T>(
  endpoint: CredentialEndpoint,
  attempt: (fetch: EgressFetch) => Promise<T>,
): Promise<T> {
  const { backend, url, breakers } = endpoint;
  const waitMs = breakers.admit(url);
  if (waitMs > 0) throw unavailable(backend, "failed several times in a row", waitMs / 1_000);
  try {
    const answer = await tryRepeatedly(async () => attempt(passing(endpoint.fetch)));
    breakers.succeeded(url);
    return answer;
  } catch (thrown) {
    if (!(thrown instanceof PassingFailure)) {
      breakers.succeeded(url);
      throw thrown;
    }
    breakers.failed(url);
    throw unavailable(backend, thrown.message, thrown.retryAfterSeconds, thrown);
  }
}

/** What may not happen the next time. Its message goes on after the name of the endpoint. */
class PassingFailure extends Error {
  override readonly name = "PassingFailure";
  readonly retryAfterSeconds: number | undefined;

  constructor(message: string, retryAfterSeconds?: number, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

const FAILURES = {
  unreachable: "cannot be reached",
  timeout: "did not answer in time",
  too_large: "answered with far too much",
} as const;

async function tryRepeatedly<T>(attempt: () => Promise<T>): Promise<T> {
  for (const backoffMs of BACKOFFS_MS) {
    const startedAtMs = performance.now();
    try {
      return await attempt();
    } catch (thrown) {
      const tookMs = performance.now() - startedAtMs;
      if (!(thrown instanceof PassingFailure) || tookMs > PATIENCE_MS) throw thrown;
      await delay(backoffMs);
    }
  }
  return attempt();
}

/** An answer that may be another one a moment later is a failure here. */
function passing(fetch: EgressFetch): EgressFetch {
  return async (...asked) => {
    const response = await orPassingFailure(fetch(...asked));
    const { status } = response;
    if (status !== 429 && status < 500) return response;
    throw new PassingFailure(`answered with HTTP ${status}`, retryAfterIn(response));
  };
}

async function orPassingFailure(asking: Promise<Response>): Promise<Response> {
  try {
    return await asking;
  } catch (thrown) {
    const error = EgressError.from(thrown);
    if (error.failure === "refused" || error.failure === "protocol") throw error;
    throw new PassingFailure(FAILURES[error.failure], undefined, error);
  }
}

function unavailable(
  backend: string,
  reason: string,
  retryAfterSeconds: number | undefined,
  cause?: unknown,
): Error {
  const seconds = retryAfterSeconds && Math.min(MAX_RETRY_AFTER_SECONDS, retryAfterSeconds);
  return credentialsError(backend, `cannot be given credentials: its token endpoint ${reason}`, {
    cause,
    ...(seconds !== undefined && { retryAfterSeconds: Math.ceil(seconds) }),
  });
}

function retryAfterIn({ headers }: Response): number | undefined {
  const seconds = Number(headers.get("retry-after") ?? Number.NaN);
  return Number.isFinite(seconds) && seconds > 0 ? seconds : undefined;
}
