import type { VmcpError } from "../domain/errors.ts";
import type { BackendMessage } from "../mcp/exchange.ts";
import type { ConnectionListener } from "./ports.ts";

/** Messages that a backend may send before its connection is handed over; what comes beyond is dropped. */
const MAX_HELD = 256;

/**
 * Keeps what a backend says while it is being connected, so that nobody hears of a connection that they do
 * not have yet. Some ask for the client's roots as soon as they are initialized.
 */
export class HeldListener implements ConnectionListener {
  #listener: ConnectionListener;
  #held: (() => void)[] | undefined = [];

  constructor(listener: ConnectionListener) {
    this.#listener = listener;
  }

  /** Another one hears everything from now on, what is held already included. */
  divert(listener: ConnectionListener): void {
    this.#listener = listener;
  }

  unsolicited(message: BackendMessage): void {
    if (this.#held !== undefined && this.#held.length >= MAX_HELD) return;
    this.#pass(() => this.#listener.unsolicited(message));
  }

  lost(error: VmcpError): void {
    this.#pass(() => this.#listener.lost(error));
  }

  /** Hands on everything in order, once those who were promised the connection have had their turn. */
  releaseSoon(): void {
    setImmediate(() => {
      const held = this.#held ?? [];
      this.#held = undefined;
      for (const pass of held) pass();
    });
  }

  /** Nobody will have the connection: nothing is handed on, now or later. */
  drop(): void {
    this.#held = [];
  }

  #pass(pass: () => void): void {
    if (this.#held === undefined) pass();
    else this.#held.push(pass);
  }
}
