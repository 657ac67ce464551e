import { once } from "node:events";
import { createServer } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { ClientConnections } from "./client-connections.ts";

const REQUEST = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

interface Client {
  readonly socket: Socket;
  readonly isClosed: () => boolean;
  /** Resolves when one more request is answered. */
  ask(): Promise<void>;
}

/** A server with two places, and a clock that stands still until the test moves it. */
async function startHost(mayClose: (socket: Socket) => boolean = () => true): Promise<{
  readonly open: () => Promise<Client>;
  readonly connections: ClientConnections;
}> {
  vi.useFakeTimers({ toFake: ["performance"] });
  onTestFinished(() => void vi.useRealTimers());
  const connections = new ClientConnections(2, mayClose);
  const server = createServer((request, response) => {
    connections.began(request, response);
    response.end();
  });
  server.on("connection", (socket: Socket) => connections.opened(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  // A server that listens on a port has an address with one.
  const { port } = server.address() as AddressInfo;
  return { connections, open: async () => openClient(port) };
}

async function openClient(port: number): Promise<Client> {
  const socket = connect(port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  await once(socket, "connect");
  let isClosed = false;
  socket.on("close", () => {
    isClosed = true;
  });
  const ask = async (): Promise<void> => {
    socket.write(REQUEST);
    await once(socket, "data");
  };
  return { socket, ask, isClosed: () => isClosed };
}

test("one that comes past the places closes one that has rested for five seconds, once that was seen", async () => {
  const { open, connections } = await startHost();
  const [resting, asking] = [await open(), await open()];
  await resting.ask();
  await asking.ask();
  connections.makeRoom();
  vi.advanceTimersByTime(4_999);
  await asking.ask();

  connections.makeRoom();
  const countBefore = connections.count;
  vi.advanceTimersByTime(1);
  await open();

  expect(countBefore).toBe(2);
  await expect.poll(resting.isClosed).toBe(true);
  expect(asking.isClosed()).toBe(false);
});

test("one that may not be closed, and one on which nothing was asked yet, stay", async () => {
  let kept: Socket | undefined;
  const { open, connections } = await startHost((socket) => socket.remotePort !== kept?.localPort);
  const internal = await open();
  kept = internal.socket;
  await internal.ask();
  const silent = await open();
  connections.makeRoom();
  vi.advanceTimersByTime(60_000);

  const last = await open();
  await last.ask();

  expect([internal, silent, last].map(({ isClosed }) => isClosed())).toEqual([false, false, false]);
  expect(connections.count).toBe(3);
});
