import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";

/** A server that nobody may ever connect to. */
export interface Trap extends AsyncDisposable {
  readonly port: number;
  readonly connections: number;
}

export async function startTrap(): Promise<Trap> {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.destroy();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // A server that listens on TCP has an address object.
  const { port } = server.address() as AddressInfo;
  return {
    port,
    get connections() {
      return connections;
    },
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, "close");
      server.close();
      await closed;
    },
  };
}
