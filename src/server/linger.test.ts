import { connect } from "node:net";
import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { startHost } from "./testing/host.ts";

const PIECE = Buffer.alloc(16 * 1024, " ");

/** More than the systems at both ends hold, so that the sender is still at it when the answer comes. */
const PIECES = 1_024;

/** Sends a POST that is too large piece by piece, whatever comes meanwhile, and returns what came. */
async function sendTooMuch(url: string, framing: string, piece: Buffer): Promise<string> {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  let received = "";
  socket.setEncoding("latin1").on("data", (chunk: string) => {
    received += chunk;
  });
  // Whoever sends on after the end of the connection learns of it as an error; the answer has come before.
  const closed = new Promise((resolve) => {
    socket.on("error", () => {}).on("close", resolve);
  });
  socket.write(
    `POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${framing}\r\n\r\n`,
  );
  for (let sent = 0; sent < PIECES && !socket.destroyed; sent += 1) {
    socket.write(piece);
    // oxlint-disable-next-line no-await-in-loop
    await setImmediate();
  }
  await closed;
  return received;
}

test.for([
  ["announced", `Content-Length: ${PIECES * PIECE.length}`, PIECE],
  [
    "in chunks",
    "Transfer-Encoding: chunked",
    Buffer.concat([Buffer.from(`${PIECE.length.toString(16)}\r\n`), PIECE, Buffer.from("\r\n")]),
  ],
] as const)(
  "who is still sending a body that is too large, %s, gets to read that it is",
  async ([, framing, piece]) => {
    await using edge = await startHost({ limits: { requestBytes: 1024 } });

    const answers = await Promise.all(
      Array.from({ length: 8 }, async () => sendTooMuch(edge.url, framing, piece)),
    );

    for (const answer of answers) expect(answer).toMatch(/^HTTP\/1.1 413 [^]*connection: close/i);
  },
);
