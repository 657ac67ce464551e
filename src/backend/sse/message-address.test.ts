import { expect, test } from "vitest";
import { toMessagePath } from "./message-address.ts";

const STREAM = new URL("http://host.example:81/a/sse?key=1");

test.for([
  ["/message?sessionId=x", "/message?sessionId=x"],
  ["message", "/a/message"],
  ["?session=x", "/a/sse?session=x"],
  [" /message \n", "/message"],
  ["http://host.example:81/m?s=1#part", "/m?s=1"],
  ["HTTP://HOST.example:81/m", "/m"],
  ["//host.example:81/m", "/m"],
  ["/a/../b c", "/b%20c"],
])("%j is the path %s", ([address = "", path]) => {
  expect(toMessagePath("b1", STREAM, Buffer.from(address))).toBe(path);
});

test.for([
  "http://evil.example/m",
  "http://host.example/m",
  "http://host.example:82/m",
  "https://host.example:81/m",
  "//evil.example/m",
  "\\\\evil.example\\m",
  "http://host.example:81@evil.example/m",
  "http://user:secret@host.example:81/m",
  "file:///etc/passwd",
  "javascript:alert(1)",
  "http://[::1",
  "",
  `/${"a".repeat(10_000)}`,
])("%j is refused without being shown", (address) => {
  const act = (): unknown => toMessagePath("b1", STREAM, Buffer.from(address));

  expect(act).toThrow(
    expect.objectContaining({
      code: "backend_protocol",
      executionState: "not_executed",
      message: expect.not.stringMatching(/evil|secret|passwd|alert/),
    }),
  );
});
