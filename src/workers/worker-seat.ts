import { createHash } from "node:crypto";
import { rmSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { SessionId } from "../domain/ids.ts";
import { Forwarder, requireSibling } from "./forwarding.ts";
import { siblingPath, type WorkerPlace } from "./messages.ts";
import { mintOwnedSessionId, ownerOf } from "./owned-session-id.ts";
import { sessionIdOfTarget } from "./request-head.ts";

export interface WorkerSeatOptions {
  readonly keepAliveTimeoutMs: number;
  /** Called when this worker serves, so that connections may be sent. */
  readonly onOpen: () => void;
}

/**
 * One process of several that serve the same endpoint: sessions of its own, connections that are given to it, and a
 * way to the others for what turns out to be theirs. Satisfies what the HTTP edge and the gateway ask of a seat.
 */
export class WorkerSeat implements Disposable {
  readonly url: string;
  /** From 1, for people. */
  readonly number: number;
  readonly count: number;
  readonly #place: WorkerPlace;
  readonly #options: WorkerSeatOptions;
  readonly #forwarder: Forwarder;
  #adopt: ((socket: Socket) => void) | undefined;

  constructor(place: WorkerPlace, options: WorkerSeatOptions) {
    this.#place = place;
    this.#options = options;
    this.url = place.url;
    this.number = place.index + 1;
    this.count = place.count;
    this.#forwarder = new Forwarder({
      secret: place.secret,
      pathOf: (owner) => siblingPath(place, owner),
      keepAliveTimeoutMs: options.keepAliveTimeoutMs,
    });
  }

  /** The path to listen at for what the others forward; what a worker before this one left there is gone. */
  get socketPath(): string {
    const path = siblingPath(this.#place, this.#place.index);
    rmSync(path, { force: true });
    return path;
  }

  mintSessionId(): SessionId {
    return mintOwnedSessionId(this.#place.index);
  }

  /** From now on connections go to `adopt`. */
  open(adopt: (socket: Socket) => void): void {
    this.#adopt = adopt;
    this.#options.onOpen();
  }

  /** A connection that was given to this worker, with what was read of it. */
  take(socket: Socket, firstBytes: Uint8Array): void {
    // As a listener for HTTP sets up what it accepts.
    socket.allowHalfOpen = true;
    socket.setNoDelay(true);
    socket.unshift(firstBytes);
    if (this.#adopt === undefined) socket.destroy();
    else this.#adopt(socket);
  }

  /** Throws `forbidden_host` for a request at `socketPath` that no worker sent. */
  requireSibling(request: IncomingMessage): void {
    requireSibling(request, this.#place.secret);
  }

  /** The worker whose session the request names; undefined where it is none or this one's. */
  foreignOwnerOf({ headers, url = "" }: IncomingMessage): number | undefined {
    const header = headers["mcp-session-id"];
    const id = typeof header === "string" ? header : sessionIdOfTarget(url);
    const owner = id === undefined ? undefined : ownerOf(id, this.count);
    return owner === this.#place.index ? undefined : owner;
  }

  /** The worker that serves the clients of this key; undefined where it is this one. */
  foreignKeeperOf(key: string): number | undefined {
    const keeper = createHash("sha256").update(key).digest().readUInt32BE() % this.count;
    return keeper === this.#place.index ? undefined : keeper;
  }

  /** As `Forwarder.forward`. */
  forward(owner: number, request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    return this.#forwarder.forward(owner, request, response);
  }

  [Symbol.dispose](): void {
    this.#forwarder[Symbol.dispose]();
  }
}
