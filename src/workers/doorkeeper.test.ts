import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { text as readText } from "node:stream/consumers";
import { setImmediate } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { Doorkeeper, type DoorkeeperOptions } from "./doorkeeper.ts";

interface Admitted {
  readonly socket: Socket;
  readonly text: string;
  readonly sessionId: string | undefined;
}

async function startDoorkeeper(more: Partial<DoorkeeperOptions> = {}) {
  const admitted: Admitted[] = [];
  const doorkeeper = new Doorkeeper({
    host: "127.0.0.1",
    port: 0,
    maxHeadBytes: 1_000,
    headersTimeoutMs: 10_000,
    maxConnections: 100,
    admit: (socket, firstBytes, sessionId) => {
      onTestFinished(() => void socket.destroy());
      admitted.push({ socket, text: firstBytes.toString("latin1"), sessionId });
    },
    ...more,
  });
  onTestFinished(async () => doorkeeper[Symbol.asyncDispose]());
  const port = await doorkeeper.listen();
  const open = async (): Promise<Socket> => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    onTestFinished(() => void socket.destroy());
    socket.on("error", () => {});
    await once(socket, "connect");
    return socket;
  };
  return { doorkeeper, admitted, open, port };
}

test("a connection is given away with what was read, and nothing is read after that", async () => {
  const { admitted, open } = await startDoorkeeper();
  const socket = await open();

  socket.write("POST /mcp HTTP/1.1\r\nMcp-Session-Id: one\r\n");
  await expect.poll(() => admitted.length).toBe(1);
  socket.write("the rest");
  for (let turn = 0; turn < 20; turn += 1) {
    // The rest has time to arrive.
    // oxlint-disable-next-line no-await-in-loop
    await setImmediate();
  }

  const [given] = admitted;
  expect(given).toMatchObject({ sessionId: "one", text: expect.stringMatching(/one\r\n$/) });
  expect(given?.socket.isPaused()).toBe(true);
  expect(given?.socket.bytesRead).toBe(given?.text.length);
});

test.for([
  ["is longer than a head may be", `GET / HTTP/1.1\r\nX: ${"x".repeat(2_000)}`],
  ["is no request", "hello"],
] as const)("what %s is somebody else's to refuse", async ([, text]) => {
  const { admitted, open } = await startDoorkeeper();

  (await open()).write(text);

  await expect.poll(() => admitted[0]?.text).toBe(text);
  expect(admitted[0]?.sessionId).toBeUndefined();
});

test("half a head whose sender has ended is given away", async () => {
  const { admitted, open } = await startDoorkeeper();

  (await open()).end("GET / HTTP/1.1\r\n");

  await expect.poll(() => admitted[0]?.text).toBe("GET / HTTP/1.1\r\n");
});

test("who does not say enough in time gets 408", async () => {
  const { admitted, open } = await startDoorkeeper({ headersTimeoutMs: 50 });
  const socket = await open();
  socket.write("GET / HTTP/1.1\r\n");

  const answer = await readText(socket);

  expect(answer).toMatch(/^HTTP\/1.1 408 /);
  expect(admitted).toEqual([]);
});

test("more connections than may wait are closed", async () => {
  const { open } = await startDoorkeeper({ maxConnections: 1 });
  await open();

  const second = await open();

  expect(await readText(second)).toBe("");
});

test("the end closes who waits, and takes nobody", async () => {
  const { doorkeeper, open, port } = await startDoorkeeper();
  const waiting = await open();
  waiting.write("GET ");

  await doorkeeper[Symbol.asyncDispose]();
  const late = connect(port, "127.0.0.1");
  const [error] = await once(late, "error");

  expect(await readText(waiting).catch(() => "")).toBe("");
  expect(error).toMatchObject({ code: "ECONNREFUSED" });
});

test("a port that is taken is named", async () => {
  const { port } = await startDoorkeeper();

  await expect(startDoorkeeper({ port })).rejects.toMatchObject({
    code: "address_in_use",
    message: expect.stringContaining(`Port ${port} on 127.0.0.1`),
  });
});
