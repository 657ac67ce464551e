import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { expect, test } from "vitest";
import { startFaultProxy, type FaultProxy } from "./fault-proxy.ts";
import { waitFor } from "./quiescence.ts";

/** A server that keeps what it is sent, and a client that comes to it through the proxy. */
interface Rig extends AsyncDisposable {
  readonly proxy: FaultProxy;
  readonly accepted: Socket[];
  readonly atServer: () => string;
  dial(): Promise<Side>;
}

interface Side {
  readonly socket: Socket;
  readonly received: () => string;
  /** `end`, `reset`, or undefined while it is open. */
  readonly ending: () => string | undefined;
}

function watch(socket: Socket): Side {
  let text = "";
  let ending: string | undefined;
  socket.on("data", (chunk) => {
    text += chunk.toString();
  });
  socket.on("end", () => {
    ending ??= "end";
  });
  socket.on("error", () => {
    ending = "reset";
  });
  socket.on("close", () => {
    ending ??= "end";
  });
  return { socket, received: () => text, ending: () => ending };
}

async function startRig(): Promise<Rig> {
  const accepted: Socket[] = [];
  const sides: Side[] = [];
  const server = createServer((socket) => {
    accepted.push(socket);
    sides.push(watch(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // A server that listens on TCP has an address object.
  const proxy = await startFaultProxy((server.address() as AddressInfo).port);
  const dialled: Socket[] = [];
  return {
    proxy,
    accepted,
    atServer: () => sides.map(({ received }) => received()).join("|"),
    async dial() {
      const socket = connect(proxy.port, "127.0.0.1");
      dialled.push(socket);
      const side = watch(socket);
      const before = accepted.length;
      await waitFor(() => accepted.length > before);
      return side;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of [...dialled, ...accepted]) socket.destroy();
      await proxy[Symbol.asyncDispose]();
      server.close();
      await once(server, "close");
    },
  };
}

test("without a fault it passes bytes and the end of both sides on", async () => {
  await using rig = await startRig();
  const client = await rig.dial();

  client.socket.write("to you");
  await waitFor(() => rig.atServer() === "to you");
  rig.accepted[0]?.write("to me");
  await waitFor(() => client.received() === "to me");
  client.socket.end();

  await waitFor(() => rig.proxy.openConnections === 0);
  expect(rig.proxy.acceptedConnections).toBe(1);
  expect(client.ending()).toBe("end");
});

test.for(["cut", "reset"] as const)(
  "a %s ends both sides, each in the way it is called",
  async (how) => {
    await using rig = await startRig();
    const client = await rig.dial();
    client.socket.write("before");
    await waitFor(() => rig.atServer() === "before");

    rig.proxy.endAll(how);

    await waitFor(() => client.ending());
    expect(client.ending()).toBe(how === "cut" ? "end" : "reset");
    await waitFor(() => rig.accepted[0]?.destroyed === true);
  },
);

test("a stalled way delivers nothing and closes nothing, and goes on when it is healed", async () => {
  await using rig = await startRig();
  const client = await rig.dial();
  rig.proxy.change({ toBackend: { isStalled: true } });

  client.socket.write("held");
  rig.accepted[0]?.write("the other way is open");
  await waitFor(() => client.received() === "the other way is open");
  const whileStalled = rig.atServer();
  rig.proxy.heal();

  expect(whileStalled).toBe("");
  await waitFor(() => rig.atServer() === "held");
});

test("the end of a side that nobody hears is told once its way is healed", async () => {
  await using rig = await startRig();
  const client = await rig.dial();
  rig.proxy.change({ toBackend: { isStalled: true }, toClient: { isStalled: true } });

  client.socket.destroy();
  await waitFor(() => rig.proxy.openConnections === 0);
  const isServerOpen = rig.accepted[0]?.destroyed === false;
  rig.proxy.heal();

  expect(isServerOpen).toBe(true);
  await waitFor(() => rig.accepted[0]?.destroyed === true);
});

test("a way that is cut after some bytes delivers exactly those", async () => {
  await using rig = await startRig();
  rig.proxy.change({ toClient: { cutAfterBytes: 4 } });
  const client = await rig.dial();

  rig.accepted[0]?.write("abcdefgh");
  await waitFor(() => client.ending());

  expect(client.received()).toBe("abcd");
});

test("a slow way delivers everything, piece by piece and in order", async () => {
  await using rig = await startRig();
  rig.proxy.change({ toBackend: { bytesPerSecond: 200, delayMs: 1 } });
  const client = await rig.dial();
  const pieces = new Set<number>();

  client.socket.write("0123456789abcdefghij");
  await waitFor(() => {
    pieces.add(rig.atServer().length);
    return rig.atServer().length === 20;
  });

  expect(rig.atServer()).toBe("0123456789abcdefghij");
  expect(pieces.size).toBeGreaterThan(1);
});

test("refuses connections for as long as it is told to, on the same port", async () => {
  await using rig = await startRig();
  const client = await rig.dial();
  const { port } = rig.proxy;

  rig.proxy.refuse();
  const refused = watch(connect(port, "127.0.0.1"));
  await waitFor(() => refused.ending() === "reset");
  client.socket.write("still here");
  await waitFor(() => rig.atServer() === "still here");
  await rig.proxy.accept();
  await rig.dial();

  expect(rig.proxy.port).toBe(port);
});
