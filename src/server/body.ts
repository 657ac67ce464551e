import type { IncomingMessage, ServerResponse } from "node:http";
import { VmcpError } from "../domain/errors.ts";
import type { MessageBytes } from "../mcp/message-bytes.ts";
import { BodyPieces } from "./body-pieces.ts";

/** How long the answer to a refused request waits for the rest of a body that nobody wants. */
const DISCARD_DEADLINE_MS = 1_000;

/**
 * Reads a request's body once, as it came, a long one in pieces, and tells a client that waits for it to go on.
 * Rejects with `payload_too_large` as soon as the limit is passed, whether the length was announced or not, and with
 * `cancelled` when the client goes away before the end.
 */
export async function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  maxBytes: number,
): Promise<MessageBytes> {
  if (announcedLength(request) > maxBytes) throw tooLarge(maxBytes);
  if (request.headers.expect !== undefined) response.writeContinue();
  return new Promise((resolve, reject) => {
    let first: Buffer | undefined;
    let pieces: BodyPieces | undefined;
    let size = 0;
    request.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxBytes) {
        // What still comes until the connection is closed is read and dropped: left unread, it would make the
        // system reset the connection, and the reset can overtake the answer.
        pieces = undefined;
        reject(tooLarge(maxBytes));
      } else if (first === undefined) first = chunk;
      else {
        pieces ??= new BodyPieces(first);
        pieces.add(chunk);
      }
    });
    request.on("end", () => resolve(pieces?.take() ?? first ?? EMPTY));
    request.on("close", () => {
      // Every request closes in the end, and an error costs its stack: one is made only where it is needed.
      if (request.complete) return;
      reject(new VmcpError("cancelled", "The client went away before its request was complete"));
    });
  });
}

/**
 * Reads to the end of a body that nobody wants, so that the next request on the connection is not taken from the
 * middle of this one. Resolves with false where that cannot be had: the body is longer than the limit, does not
 * come within a second, is broken, or waits for a go-ahead.
 */
export async function discardBody(request: IncomingMessage, maxBytes: number): Promise<boolean> {
  if (request.readableEnded || !hasBody(request)) return true;
  if (request.headers.expect !== undefined || announcedLength(request) > maxBytes) return false;
  return new Promise((resolve) => {
    let size = 0;
    const settle = (isWhole: boolean): void => {
      clearTimeout(timer);
      resolve(isWhole);
    };
    const timer = setTimeout(settle, DISCARD_DEADLINE_MS, false);
    request.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxBytes) settle(false);
    });
    request.on("end", () => settle(true));
    request.on("close", () => settle(false));
  });
}

function announcedLength({ headers }: IncomingMessage): number {
  return Number(headers["content-length"] ?? 0);
}

function hasBody(request: IncomingMessage): boolean {
  return announcedLength(request) > 0 || request.headers["transfer-encoding"] !== undefined;
}

function tooLarge(maxBytes: number): VmcpError {
  return new VmcpError("payload_too_large", `The request is larger than ${maxBytes} bytes`);
}

const EMPTY = Buffer.alloc(0);
