import type { IncomingMessage } from "node:http";
import { VmcpError } from "../domain/errors.ts";

/**
 * Reads a request's body once, as it came. Rejects with `payload_too_large` as soon as the limit is passed,
 * whether the length was announced or not, and with `cancelled` when the client goes away before the end.
 */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const announced = Number(request.headers["content-length"] ?? 0);
  if (announced > maxBytes) throw tooLarge(maxBytes);
  return new Promise((resolve, reject) => {
    let first: Buffer | undefined;
    let chunks: Buffer[] | undefined;
    let size = 0;
    request.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxBytes) {
        request.pause();
        reject(tooLarge(maxBytes));
      } else if (first === undefined) first = chunk;
      else (chunks ??= [first]).push(chunk);
    });
    request.on("end", () => resolve(chunks ? Buffer.concat(chunks, size) : (first ?? EMPTY)));
    request.on("close", () => {
      // Settled already unless the client went away; then nobody is left to answer.
      reject(new VmcpError("cancelled", "The client went away before its request was complete"));
    });
  });
}

function tooLarge(maxBytes: number): VmcpError {
  return new VmcpError("payload_too_large", `The request is larger than ${maxBytes} bytes`);
}

const EMPTY = Buffer.alloc(0);
