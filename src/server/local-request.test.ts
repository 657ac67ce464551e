import type { IncomingMessage } from "node:http";
import { expect, test } from "vitest";
import { asksForDigests, isLocalRequest } from "./local-request.ts";

test.for<readonly [string | undefined, Readonly<Record<string, string>>, boolean]>([
  ["127.0.0.1", {}, true],
  ["127.8.8.8", {}, true],
  ["::1", {}, true],
  ["::ffff:127.0.0.1", {}, true],
  ["192.168.0.7", {}, false],
  ["::ffff:192.168.0.7", {}, false],
  [undefined, {}, false],
  ["127.0.0.1", { "x-forwarded-for": "192.168.0.7" }, false],
  ["127.0.0.1", { forwarded: "for=127.0.0.1" }, false],
  ["127.0.0.1", { via: "1.1 proxy" }, false],
])("a request from %s with %j: %s", ([remoteAddress, headers, expected]) => {
  // Nothing else of a request is looked at.
  const request = { socket: { remoteAddress }, headers } as unknown as IncomingMessage;

  expect(isLocalRequest(request)).toBe(expected);
});

test.for<readonly [string, string, boolean]>([
  ["/status?config", "127.0.0.1", true],
  ["/status?config", "192.168.0.7", false],
  ["/status", "127.0.0.1", false],
  ["/status?configuration", "127.0.0.1", false],
])("a request for %s from %s gets digests: %s", ([url, remoteAddress, expected]) => {
  // Nothing else of a request is looked at.
  const request = { url, socket: { remoteAddress }, headers: {} } as unknown as IncomingMessage;

  expect(asksForDigests(request)).toBe(expected);
});
