import {
  connect as connectTcp,
  isIP,
  Socket,
  type LookupFunction,
  type OnReadOpts,
} from "node:net";
import {
  connect as connectTls,
  createSecureContext,
  type ConnectionOptions,
  type SecureContext,
} from "node:tls";
import { toError } from "./http-client-error.ts";

export interface SocketTargetOptions {
  /** PEM, trusted in place of the built-in authorities. Default: those. */
  readonly ca?: readonly (string | Buffer)[] | undefined;
  readonly lookup?: LookupFunction | undefined;
  /** Of a socket in the file system, which is dialled in place of the origin. */
  readonly socketPath?: string | undefined;
}

const KEEP_ALIVE_PROBE_MS = 60_000;

/** All sockets read into these bytes, one after the other: whoever is told of them is done with them when it returns. */
const READ_BUFFER = Buffer.allocUnsafeSlow(65_536);

/** What the connections to one origin share. */
export class SocketTarget {
  /** As the `host` header names it. */
  readonly host: string;
  readonly isTls: boolean;
  readonly #hostname: string;
  readonly #port: number;
  readonly #options: SocketTargetOptions;
  #context: SecureContext | undefined;
  /** What lets the next TLS connection go on from the last one. */
  #tlsSession: Buffer | undefined;

  /** `origin` is scheme, host and port, as `URL.origin` gives them. */
  constructor(origin: string, options: SocketTargetOptions) {
    const url = new URL(origin);
    this.host = url.host;
    this.isTls = url.protocol === "https:";
    this.#hostname = url.hostname.replace(/^\[(.*)\]$/, "$1");
    this.#port = url.port === "" ? (this.isTls ? 443 : 80) : Number(url.port);
    this.#options = options;
  }

  /**
   * Begins to dial; `onRead` gets how many bytes came, and where they stand until it returns. Never throws: what keeps
   * it from dialling at all comes as the socket's error.
   */
  open(onRead: (length: number, bytes: Buffer) => void): Socket {
    const onread = {
      buffer: READ_BUFFER,
      callback(length: number, bytes: Uint8Array): boolean {
        // What it was given above.
        onRead(length, bytes as Buffer);
        return true;
      },
    };
    try {
      const socket = this.#dial(onread);
      socket.setNoDelay(true);
      socket.setKeepAlive(true, KEEP_ALIVE_PROBE_MS);
      return socket;
    } catch (thrown) {
      return new Socket().destroy(toError(thrown));
    }
  }

  #dial(onread: OnReadOpts): Socket {
    const { lookup, socketPath } = this.#options;
    const host = this.#hostname;
    // Where there is a path, the host is only what a certificate has to be for.
    const where =
      socketPath === undefined
        ? { host, port: this.#port, ...(lookup && { lookup }) }
        : { host, path: socketPath };
    return this.isTls ? this.#openTls(where, onread) : connectTcp({ ...where, onread });
  }

  #openTls(where: ConnectionOptions, onread: OnReadOpts): Socket {
    const { ca } = this.#options;
    // Reading the authorities anew for each connection would take longer than the handshake.
    this.#context ??= createSecureContext(ca === undefined ? {} : { ca: [...ca] });
    const options: ConnectionOptions & { readonly onread: OnReadOpts } = {
      ...where,
      onread,
      secureContext: this.#context,
      ALPNProtocols: ["http/1.1"],
      ...(isIP(this.#hostname) === 0 && { servername: this.#hostname }),
      ...(this.#tlsSession !== undefined && { session: this.#tlsSession }),
    };
    const socket = connectTls(options);
    socket.on("session", (session) => {
      this.#tlsSession = session;
    });
    // It may have failed because of the session: the next one begins anew.
    socket.on("error", () => {
      this.#tlsSession = undefined;
    });
    return socket;
  }
}
