import type { IncomingMessage } from "node:http";
import ipaddr from "ipaddr.js";
import { VmcpError, type VmcpErrorCode } from "../domain/errors.ts";

/** What somebody does who guesses. */
const GUESSES: ReadonlySet<VmcpErrorCode> = new Set(["unauthorized", "session_not_found"]);

/** Beyond this many addresses, the one that failed longest ago is forgotten. */
const MAX_ADDRESSES = 10_000;
const MINUTE_MS = 60_000;

interface Failures {
  /** Failures that are left, as they were at `atMs`. */
  left: number;
  atMs: number;
}

/**
 * Slows down whoever guesses proofs or session ids, by address. Only failures count, and only failures are refused:
 * whoever has a session or a proof that holds goes on, also where many share one address behind a proxy.
 */
export class FailureLimiter {
  readonly #perMinute: number;
  readonly #now: () => number;
  readonly #maxAddresses: number;
  readonly #byAddress = new Map<string, Failures>();

  /** `now` in milliseconds, of a clock that never goes back. */
  constructor(
    perMinute: number,
    now: () => number = () => performance.now(),
    maxAddresses = MAX_ADDRESSES,
  ) {
    this.#perMinute = perMinute;
    this.#now = now;
    this.#maxAddresses = maxAddresses;
  }

  get size(): number {
    return this.#byAddress.size;
  }

  /** Throws `rate_limited` where the address has failed too often to have another proof looked at. */
  require({ socket }: Pick<IncomingMessage, "socket">): void {
    if (this.#byAddress.size === 0) return;
    const failures = this.#byAddress.get(networkOf(socket.remoteAddress ?? ""));
    if (failures !== undefined && this.#leftIn(failures) < 1) throw tooMany(this.#perMinute);
  }

  /** Counts a refusal if it is one of a guess, and returns what to answer in its place. */
  judge({ socket }: Pick<IncomingMessage, "socket">, error: VmcpError): VmcpError {
    if (!GUESSES.has(error.code)) return error;
    const { remoteAddress } = socket;
    // What another process of this gateway passed on was counted where it arrived.
    if (remoteAddress === undefined) return error;
    return this.#take(networkOf(remoteAddress)) ? error : tooMany(this.#perMinute);
  }

  /** Counts an answer that another process of this gateway gave in the place of this one. */
  noteStatus({ socket }: Pick<IncomingMessage, "socket">, status: number): void {
    if (status !== 404 || socket.remoteAddress === undefined) return;
    this.#take(networkOf(socket.remoteAddress));
  }

  #take(address: string): boolean {
    const failures = this.#byAddress.get(address) ?? { left: this.#perMinute, atMs: this.#now() };
    failures.left = this.#leftIn(failures);
    failures.atMs = this.#now();
    const isAllowed = failures.left >= 1;
    if (isAllowed) failures.left -= 1;
    this.#byAddress.delete(address);
    this.#byAddress.set(address, failures);
    if (this.#byAddress.size > this.#maxAddresses) {
      const [oldest] = this.#byAddress.keys();
      if (oldest !== undefined) this.#byAddress.delete(oldest);
    }
    return isAllowed;
  }

  #leftIn({ left, atMs }: Failures): number {
    const regained = ((this.#now() - atMs) / MINUTE_MS) * this.#perMinute;
    return Math.min(this.#perMinute, left + regained);
  }
}

/** Whoever has one IPv6 address has the 2^64 around it. */
function networkOf(address: string): string {
  if (!address.includes(":") || !ipaddr.isValid(address)) return address;
  const parsed = ipaddr.process(address);
  if (parsed instanceof ipaddr.IPv4) return parsed.toString();
  return parsed.parts.slice(0, 4).join(":");
}

function tooMany(perMinute: number): VmcpError {
  const message = "Too many requests of this address proved nothing or named no session";
  return new VmcpError("rate_limited", message, {
    retryAfterSeconds: Math.max(1, Math.ceil(MINUTE_MS / 1_000 / perMinute)),
  });
}
