import { ANONYMOUS } from "../../src/domain/identity.ts";
import { parseSessionId } from "../../src/domain/ids.ts";
import { SILENT_LOGGER } from "../../src/domain/logger.ts";
import type { LinkHost } from "../../src/session/backend-link.ts";

/** A session's side of a link that wants nothing of it. */
export function linkHost(wishes: Partial<LinkHost> = {}): LinkHost {
  return {
    startTimeoutMs: 1_000,
    closeDeadlineMs: 100,
    logger: SILENT_LOGGER,
    now: () => performance.now(),
    connectRequest: (listener, knownCapabilities) => ({
      sessionId: parseSessionId("s"),
      identity: ANONYMOUS,
      client: { revision: "2025-11-25", capabilities: {}, info: {} },
      listener,
      knownCapabilities,
    }),
    slotsFor: () => [],
    knownCapabilities: () => undefined,
    onReady() {},
    onUnsolicited() {},
    onLeave() {},
    ...wishes,
  };
}
