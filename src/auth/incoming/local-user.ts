import { readFileSync } from "node:fs";
import { userInfo } from "node:os";
import type { Identity } from "../../domain/identity.ts";
import { proofRefused } from "./challenge.ts";
import type { AuthRequest, ClientAuth } from "./client-auth.ts";
import { presentsProof } from "./presented-proof.ts";
import { ownerOfPeer, type SocketAddresses } from "./socket-owner.ts";

/** Says of an identity that it is a user of this machine. */
export const LOCAL_ISSUER = "vmcp:local";

export interface LocalUserOptions {
  /** The user id that owns the client's end of a connection; undefined where the system does not tell. */
  readonly ownerOf?: (socket: SocketAddresses) => number | "nobody" | undefined;
  /** The user that this process runs as. */
  readonly ownUser?: { readonly uid: number; readonly username: string };
}

/**
 * Clients are users of this machine, told by the operating system and not by themselves: the owner of the client's
 * end of the connection, where the system shows that (Linux), and else the user that the gateway runs as. Each
 * connection is looked up once. A proof that is presented is refused, because it could not be checked.
 */
export class LocalUsers implements ClientAuth {
  readonly #ownerOf: (socket: SocketAddresses) => number | "nobody" | undefined;
  readonly #ownUser: { readonly uid: number; readonly username: string };
  readonly #known = new WeakMap<object, Identity>();
  readonly #identities = new Map<number, Identity>();

  constructor({ ownerOf = askSystem, ownUser = userInfo() }: LocalUserOptions = {}) {
    this.#ownerOf = ownerOf;
    this.#ownUser = ownUser;
  }

  recall(request: AuthRequest): Identity | undefined {
    return presentsProof(request) ? undefined : this.#known.get(request.socket);
  }

  verify(request: AuthRequest): Identity {
    if (presentsProof(request)) {
      throw proofRefused("no proof is asked for here; send the request without one");
    }
    const owner = this.#ownerOf(request.socket) ?? this.#ownUser.uid;
    if (owner === "nobody") throw proofRefused("the connection belongs to no user of this machine");
    const identity = this.#identityOf(owner);
    this.#known.set(request.socket, identity);
    return identity;
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  /** As many as the machine has users. */
  #identityOf(uid: number): Identity {
    const known = this.#identities.get(uid);
    if (known !== undefined) return known;
    const { uid: ownUid, username } = this.#ownUser;
    const subject = uid === ownUid ? username : `uid:${String(uid)}`;
    const claims = { iss: LOCAL_ISSUER, sub: subject };
    const identity: Identity = { kind: "verified", issuer: LOCAL_ISSUER, subject, claims };
    this.#identities.set(uid, identity);
    return identity;
  }
}

function askSystem(socket: SocketAddresses): number | "nobody" | undefined {
  return ownerOfPeer(socket, readTable);
}

function readTable(name: "tcp" | "tcp6"): string | undefined {
  try {
    return readFileSync(`/proc/net/${name}`, "latin1");
  } catch {
    return undefined;
  }
}
