import type { BackendFailureCode, VmcpError } from "../domain/errors.ts";

/** What the failure of a use says of the backend: that it is ill, that it is there after all, or nothing. */
type Verdict = "ill" | "alive" | "nothing";

/** Who refuses, limits or redirects a caller has answered it, and will answer others. */
const VERDICTS = {
  backend_unreachable: "ill",
  backend_tls: "ill",
  backend_closed: "ill",
  backend_timeout: "ill",
  backend_protocol: "ill",
  backend_http_5xx: "ill",
  backend_session_lost: "ill",
  backend_http_4xx: "alive",
  backend_auth: "alive",
  backend_rate_limited: "alive",
  backend_redirect: "alive",
  backend_too_large: "alive",
  backend_busy: "nothing",
} as const satisfies Record<BackendFailureCode, Verdict>;

const VERDICT_BY_CODE: ReadonlyMap<string, Verdict> = new Map(Object.entries(VERDICTS));

export function verdictOn({ code }: VmcpError): Verdict {
  return VERDICT_BY_CODE.get(code) ?? "nothing";
}
