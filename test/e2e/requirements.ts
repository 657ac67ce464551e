import { BASE } from "./requirements/base.ts";
import { CLIENT_FEATURES } from "./requirements/client-features.ts";
import type { Requirement } from "./requirements/requirement.ts";
import { SERVER_FEATURES } from "./requirements/server-features.ts";
import { TASKS } from "./requirements/tasks.ts";
import { TRANSPORTS } from "./requirements/transports.ts";
import { UTILITIES } from "./requirements/utilities.ts";

/**
 * What the sessionful revisions of MCP demand of one who is a server towards clients and a client towards
 * backends.
 *
 * Left out is what binds only those who write tools, ask users or show things to them: it passes through a
 * gateway as it is. Ids are stable; tests cite them as `spec:` and the id in square brackets.
 */
export const REQUIREMENTS: readonly Requirement[] = [
  ...BASE,
  ...TRANSPORTS,
  ...UTILITIES,
  ...CLIENT_FEATURES,
  ...SERVER_FEATURES,
  ...TASKS,
];
