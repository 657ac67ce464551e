import { VmcpError } from "../domain/errors.ts";

/** What the contract needs of the session manager. */
export interface SessionIdSource {
  generate(): Promise<string>;
  validate(id: string): Promise<{ readonly isTerminated: boolean }>;
  terminate(id: string): Promise<unknown>;
}

/** A server transport's session ids, with the session manager as the only one who makes and ends them. */
export interface SessionIds {
  /**
   * Stores a placeholder and resolves with its id, which belongs to one transport. Rejects with `too_many_sessions`,
   * `shutting_down` or `store_unavailable`.
   */
  generate(): Promise<string>;
  /** Whether the id may be used. False for unknown and ended ones: answer 404. Rejects with `shutting_down`. */
  validate(id: string): Promise<boolean>;
  /** Ends the session and every backend session of it. Unknown ids are no error. */
  terminate(id: string): Promise<void>;
}

/** A client that was refused for want of a store may try again after this. */
const RETRY_AFTER_SECONDS = 30;

/**
 * Ties the ids of an SDK transport that you own to the gateway's sessions. A transport takes its id from a function
 * that cannot wait, so the id is generated before the transport is made:
 *
 * ```js
 * const ids = createSessionIds(vmcp.sessions);
 * const transports = new Map();
 * createServer(async (req, res) => {
 *   const known = req.headers["mcp-session-id"];
 *   if (known !== undefined && !(await ids.validate(known))) return res.writeHead(404).end();
 *   if (known !== undefined) return transports.get(known)?.handleRequest(req, res);
 *   const id = await ids.generate();
 *   const transport = new NodeStreamableHTTPServerTransport({
 *     sessionIdGenerator: () => id,
 *     onsessioninitialized: () => void transports.set(id, transport),
 *     onsessionclosed: () => ids.terminate(id),
 *   });
 *   transport.onclose = () => transports.delete(id) && ids.terminate(id);
 *   await createYourServer(id).connect(transport); // calls vmcp.sessions.createSession(id, …)
 *   await transport.handleRequest(req, res);
 * });
 * ```
 *
 * `createSdkHandler` is all of this and the server with it.
 */
export function createSessionIds(sessions: SessionIdSource): SessionIds {
  return {
    async generate() {
      const id = await sessions.generate();
      if (id !== "") return id;
      throw new VmcpError("store_unavailable", "No session can be stored at the moment", {
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      });
    },
    async validate(id) {
      try {
        return !(await sessions.validate(id)).isTerminated;
      } catch (error) {
        if (isUnknownId(error)) return false;
        throw error;
      }
    },
    async terminate(id) {
      await sessions.terminate(id);
    },
  };
}

/** An empty id is as unknown as any other that was never given out. */
function isUnknownId(error: unknown): boolean {
  const code = VmcpError.from(error).code;
  return code === "session_not_found" || code === "invalid_argument";
}
