import type { Client } from "@modelcontextprotocol/client";

/** By the names of the suite's scenarios. */
export const STATELESS_SCENARIOS: readonly (readonly [string, (client: Client) => Promise<void>])[];
