/** The sessionful revisions that the gateway speaks on both sides, oldest first. */
export const SESSIONFUL_REVISIONS = [
  "2024-11-05",
  "2025-03-26",
  "2025-06-18",
  "2025-11-25",
] as const;

export type SessionfulRevision = (typeof SESSIONFUL_REVISIONS)[number];

/** The revision without sessions: each request stands alone. */
export const STATELESS_REVISION = "2026-07-28";

export const LATEST_SESSIONFUL: SessionfulRevision = "2025-11-25";

export function isSessionfulRevision(text: unknown): text is SessionfulRevision {
  return SESSIONFUL_REVISIONS.some((revision) => revision === text);
}

/** What `initialize` is answered with: the revision asked for if we speak it, else our newest. */
export function negotiateRevision(requested: unknown): SessionfulRevision {
  return isSessionfulRevision(requested) ? requested : LATEST_SESSIONFUL;
}

/** From 2025-06-18 on, every request after `initialize` names its revision in a header. */
export function needsVersionHeader(revision: string): boolean {
  return revision >= "2025-06-18";
}
