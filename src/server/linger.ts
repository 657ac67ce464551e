import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";

/** How long a client may take to read the last answer of its connection before that is cut. */
const LINGER_MS = 1_000;

/** Ends our side and gives the client a moment to read; one that never closes its side is cut. */
export function linger(socket: Duplex): void {
  const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref();
  socket.on("close", () => clearTimeout(timer));
  // A client that is gone already is no news.
  socket.on("error", () => socket.destroy());
  socket.end();
}

/**
 * Has the connection of a response that is its last one close in two steps: our side when the answer is written, the
 * rest when the client has read it or a moment has passed. At once would not do while the client still sends: the
 * system resets a connection that is closed with bytes unread, and the reset can overtake the answer.
 *
 * Of what still comes, `maxBytes` are read and dropped, and nothing after that.
 */
export function closeGently(
  request: IncomingMessage,
  response: ServerResponse,
  maxBytes: number,
): void {
  const { socket } = response;
  if (socket === null) return;
  let size = 0;
  request.on("data", (chunk: Buffer) => {
    size += chunk.length;
    if (size > maxBytes) request.pause();
  });
  // Node closes the connection of a last response with this.
  socket.destroySoon = () => linger(socket);
}
