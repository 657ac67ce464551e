import type { JsonObject } from "../domain/json.ts";
import { STATELESS_REVISION } from "../mcp/revisions.ts";
import type { EdgeSession } from "../session/edge-session.ts";
import { DECLARED_CAPABILITIES, instructionsOf, unionOf } from "./initialize.ts";

/**
 * The result of `server/discover`, without what every result has: the revisions that requests may be made in, what
 * there is to be had, and what the backends want clients to know.
 */
export function discoverResult(session: EdgeSession): JsonObject {
  const standings = session.backends();
  const instructions = instructionsOf(standings);
  return {
    supportedVersions: [STATELESS_REVISION],
    capabilities: {
      ...DECLARED_CAPABILITIES,
      ...unionOf(standings, "extensions"),
      ...unionOf(standings, "experimental"),
    },
    ...(instructions !== "" && { instructions }),
  };
}
