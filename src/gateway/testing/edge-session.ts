import { ANONYMOUS } from "../../domain/identity.ts";
import { parseSessionId } from "../../domain/ids.ts";
import { ENDED_EXCHANGE } from "../../mcp/exchange.ts";
import type { EdgeSession } from "../../session/edge-session.ts";

export const SESSION_ID = "the-session";

/** A session without backends; what is named is done as the test says. */
export function edgeSession(overrides: Partial<EdgeSession> = {}): EdgeSession {
  return {
    id: parseSessionId(SESSION_ID),
    identity: ANONYMOUS,
    client: { revision: "2025-11-25", capabilities: {}, info: {} },
    createdAtMs: 0,
    lastUsedAtMs: 0,
    isBusy: false,
    metadata: {},
    tools: [],
    prompts: [],
    resources: [],
    touch() {},
    forward: () => ENDED_EXCHANGE,
    list: (name) => Buffer.from(`{"${name}":[]}`),
    notify() {},
    answer() {},
    setLogLevel() {},
    attachStream: () => ({ flush() {}, [Symbol.dispose]() {} }),
    backends: () => [],
    retry() {},
    callTool: async () => ({ content: [], isError: false, raw: {} }),
    readResource: async () => ({ contents: [], raw: {} }),
    getPrompt: async () => ({ messages: [], raw: {} }),
    async [Symbol.asyncDispose]() {},
    ...overrides,
  };
}
