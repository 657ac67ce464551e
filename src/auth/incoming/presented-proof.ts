import type { AuthRequest } from "./client-auth.ts";

/** Longer ones prove nothing that a shorter one could not. In characters. */
export const MAX_TOKEN_LENGTH = 16_384;

const BEARER = /^bearer +(?<token>[^\s]+) *$/i;
const QUERY_TOKEN = /[?&]access_token=/;

/** The token of `Authorization: Bearer`; undefined where there is none in that form. */
export function bearerOf({ headers }: AuthRequest): string | undefined {
  const { authorization } = headers;
  if (authorization === undefined) return undefined;
  // Nearly every client writes it like this, and a pattern takes longer.
  if (authorization.startsWith("Bearer ") && !authorization.includes(" ", BEARER_LENGTH)) {
    return authorization.slice(BEARER_LENGTH) || undefined;
  }
  return BEARER.exec(authorization)?.groups?.["token"];
}

const BEARER_LENGTH = "Bearer ".length;

/** The key of `X-API-Key`. */
export function apiKeyOf({ headers }: AuthRequest): string | undefined {
  const key = headers["x-api-key"];
  return typeof key === "string" && key !== "" ? key : undefined;
}

/** Whether a token stands in the address, where logs and histories would keep it. */
export function hasQueryToken({ url = "" }: AuthRequest): boolean {
  return QUERY_TOKEN.test(url);
}

/** Whether the client tries to prove something at all, in whichever form. */
export function presentsProof(request: AuthRequest): boolean {
  const { headers } = request;
  return (
    headers.authorization !== undefined ||
    headers["x-api-key"] !== undefined ||
    hasQueryToken(request)
  );
}
