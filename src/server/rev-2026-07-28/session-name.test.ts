import type { IncomingMessage } from "node:http";
import { expect, test } from "vitest";
import { isNamedPath, sessionNameOf } from "./session-name.ts";

function request(url: string, header?: string): IncomingMessage {
  // Only these two are looked at.
  return { url, headers: { "mcp-session-name": header } } as unknown as IncomingMessage;
}

test.for([
  ["/mcp", undefined, ""],
  ["/mcp/s/work", undefined, "work"],
  ["/mcp/s/work?x=1", undefined, "work"],
  ["/mcp", "My-tab_1.a", "My-tab_1.a"],
  ["/mcp/s/work", "work", "work"],
] as const)("%s with the header %s names the session %j", ([url, header, name]) => {
  expect(sessionNameOf(request(url, header), "/mcp")).toBe(name);
});

test.for([
  ["/mcp", ""],
  ["/mcp", "with space"],
  ["/mcp", "x".repeat(65)],
  ["/mcp", "a/b"],
  ["/mcp/s/work", "home"],
] as const)("%s with the header %j is refused", ([url, header]) => {
  expect(() => sessionNameOf(request(url, header), "/mcp")).toThrow(
    expect.objectContaining({ code: "invalid_request" }),
  );
});

test.for([
  ["/mcp/s/a", true],
  [`/mcp/s/${"a".repeat(64)}`, true],
  ["/mcp", false],
  ["/mcp/s/", false],
  ["/mcp/s/a/b", false],
  ["/mcp/s/%41", false],
  [`/mcp/s/${"a".repeat(65)}`, false],
  ["/mcp/t/a", false],
  ["/other/s/a", false],
] as const)("%s is a named path: %s", ([path, expected]) => {
  expect(isNamedPath(path, "/mcp")).toBe(expected);
});
