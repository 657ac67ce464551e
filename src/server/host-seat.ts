import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { SessionId } from "../domain/ids.ts";

/**
 * The place of a host among several processes that serve one endpoint: each owns the sessions that it made, and
 * somebody else accepts the connections and gives them to the owners.
 */
export interface HostSeat {
  /** Which of the processes it is, from 1. */
  readonly number: number;
  /** How many processes there are. */
  readonly count: number;
  /** The endpoint as clients know it. */
  readonly url: string;
  /** Where the other processes send the requests that are this one's. Nobody else can reach it. */
  readonly socketPath: string;
  /** Takes connections from now on, each paused, with what was read of it waiting on it. */
  open(adopt: (socket: Socket) => void): void;
  /** Makes the id of a session that this process owns. */
  mintSessionId(): SessionId;
  /** Which other process owns the session that a request names, if it names one. Cheap enough for every request. */
  foreignOwnerOf(request: IncomingMessage): number | undefined;
  /**
   * Which other process serves what belongs to this key, which stands for a client that names no session. Every
   * process gives the same answer. Default: each serves what it gets.
   */
  foreignKeeperOf?(key: string): number | undefined;
  /** Throws `forbidden_host` for a request at `socketPath` that no other process sent. */
  requireSibling(request: IncomingMessage): void;
  /**
   * Has the owner answer. Resolves with false, nothing read or written, where it is not there; rejects with
   * `overloaded`, likewise, where it cannot be reached though it may be there.
   */
  forward(owner: number, request: IncomingMessage, response: ServerResponse): Promise<boolean>;
}
