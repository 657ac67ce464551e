import { HttpClientError } from "./http-client-error.ts";
import type { HttpRequest } from "./request-sender.ts";

/** A token (RFC 9110, 5.6.2). */
const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
/** Tab, visible ASCII and the upper half of Latin-1 (RFC 9110, 5.5). */
const NOT_IN_VALUE = /[^\t\x20-\x7e\x80-\xff]/;
const NOT_IN_PATH = /[^\x21-\x7e]/;

/**
 * What is sent before a request's body, in Latin-1. Throws `ERR_INVALID_REQUEST` where a path, a name or a value holds
 * what would end it: nothing that came from elsewhere can add a header or a request.
 */
export function encodeRequestHead(originHost: string, request: HttpRequest): string {
  const { method, path, host = originHost, headers, body } = request;
  if (path === "" || NOT_IN_PATH.test(path)) throw invalid("its path");
  if (NOT_IN_VALUE.test(host)) throw invalid("its host");
  let head = `${method} ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: keep-alive\r\n`;
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] ?? "";
    const value = headers[index + 1] ?? "";
    if (!NAME.test(name)) throw invalid("the name of a header");
    if (NOT_IN_VALUE.test(value)) throw invalid(`the value of "${name}"`);
    head += `${name}: ${value}\r\n`;
  }
  if (body !== undefined) return `${head}content-length: ${lengthOf(body)}\r\n\r\n`;
  return method === "POST" ? `${head}content-length: 0\r\n\r\n` : `${head}\r\n`;
}

function lengthOf(body: Buffer | readonly Buffer[]): number {
  if (Buffer.isBuffer(body)) return body.length;
  return body.reduce((sum, piece) => sum + piece.length, 0);
}

function invalid(what: string): HttpClientError {
  return new HttpClientError("ERR_INVALID_REQUEST", `${what} holds what HTTP does not allow there`);
}
