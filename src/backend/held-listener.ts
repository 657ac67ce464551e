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
  #isHolding = true;
  /** Made with the first message: most backends say nothing before they are asked. */
  #held: (() => void)[] | undefined;

  constructor(listener: ConnectionListener) {
    this.#listener = listener;
  }

  /** Another one hears everything from now on, what is held already included. */
  divert(listener: ConnectionListener): void {
    this.#listener = listener;
  }

  unsolicited(message: BackendMessage): void {
    if (this.#isHolding && this.#held !== undefined && this.#held.length >= MAX_HELD) return;
    this.#pass(() => this.#listener.unsolicited(message));
  }

  lost(error: VmcpError): void {
    this.#pass(() => this.#listener.lost(error));
  }

  /** Hands on everything in order, once those who were promised the connection have had their turn. */
  releaseSoon(): void {
    setImmediate(release, this);
  }

  /** Nobody will have the connection: nothing is handed on, now or later. */
  drop(): void {
    this.#isHolding = true;
    this.#held = undefined;
  }

  release(): void {
    const held = this.#held;
    this.#isHolding = false;
    this.#held = undefined;
    for (const pass of held ?? []) pass();
  }

  #pass(pass: () => void): void {
    if (!this.#isHolding) {
      pass();
      return;
    }
    this.#held ??= [];
    this.#held.push(pass);
  }
}

function release(held: HeldListener): void {
  held.release();
}
