import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { CERTIFICATE, PRIVATE_KEY } from "../../support/backend/certificate.ts";

/** A client connection on which bytes come and go as the test says. */
export interface HeldSocket extends AsyncDisposable {
  readonly received: string;
  readonly isClosed: boolean;
  /** Starts to take what comes, where it did not from the beginning. */
  read(): void;
  write(bytes: string): void;
}

/** Connects to the server behind `url`, writes the bytes and keeps the connection open. */
export async function holdSocket(
  url: string,
  bytes = "",
  { isReading = true }: { readonly isReading?: boolean } = {},
): Promise<HeldSocket> {
  const socket = await connectTo(url);
  let received = "";
  let isClosed = false;
  if (!isReading) socket.pause();
  socket.setEncoding("latin1").on("data", (chunk: string) => {
    received += chunk;
  });
  socket.on("close", () => {
    isClosed = true;
  });
  socket.write(bytes);
  return {
    get received() {
      return received;
    },
    get isClosed() {
      return isClosed;
    },
    read: () => void socket.resume(),
    write: (more) => void socket.write(more),
    [Symbol.asyncDispose]: async () => {
      socket.destroy();
    },
  };
}

/** A server of which only the address and the end matter. */
export interface Listening extends AsyncDisposable {
  readonly port: number;
}

/** Accepts connections and says nothing. */
export async function startSilentServer(): Promise<Listening> {
  return listen(createServer(), () => {});
}

/** Takes TLS, with a certificate that no authority has signed, for the server on that port. */
export async function startTlsFront(port: number): Promise<Listening> {
  const server = createTlsServer({ cert: CERTIFICATE, key: PRIVATE_KEY }, (secure) => {
    const plain = connect(port, "127.0.0.1");
    secure.pipe(plain).pipe(secure);
    secure.on("error", () => plain.destroy()).on("close", () => plain.destroy());
    plain.on("error", () => secure.destroy()).on("close", () => secure.destroy());
  });
  // A client that does not trust the certificate leaves in the middle of the handshake.
  server.on("tlsClientError", () => {});
  return listen(server);
}

async function listen(server: Server, onSocket?: (socket: Socket) => void): Promise<Listening> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
    onSocket?.(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // A server that listens on TCP has an address object.
  const { port } = server.address() as AddressInfo;
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

async function connectTo(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  // A reset by the server ends the connection like a close does.
  socket.on("error", () => socket.destroy());
  await once(socket, "connect");
  return socket;
}
