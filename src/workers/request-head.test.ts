import * as fc from "fast-check";
import { expect, test } from "vitest";
import { lookAtHead, sessionIdOfTarget } from "./request-head.ts";

function look(text: string): unknown {
  return lookAtHead(Buffer.from(text, "latin1"));
}

const NONE = { kind: "decided", sessionId: undefined };
const UNDECIDED = { kind: "undecided" };

test.for([
  [
    "the header of a whole head",
    "POST /mcp HTTP/1.1\r\nHost: a\r\nMcp-Session-Id: x1\r\n\r\n{}",
    "x1",
  ],
  ["the header of half a head", "POST /mcp HTTP/1.1\r\nmcp-session-id:x1 \t\r\nHost", "x1"],
  [
    "the first of two headers",
    "GET / HTTP/1.1\r\nMCP-SESSION-ID: a\r\nmcp-session-id: b\r\n\r\n",
    "a",
  ],
  ["the query", "POST /messages?sessionId=x2 HTTP/1.1\r\nHost: a\r\n\r\n", "x2"],
  ["a later member of the query", "POST /messages?a=b&sessionId=x2&c HTTP/1.1\r\n\r\n", "x2"],
  [
    "the header before the query",
    "POST /messages?sessionId=x2 HTTP/1.1\r\nMcp-Session-Id: x1\r\n\r\n",
    "x1",
  ],
  ["an empty header", "GET / HTTP/1.1\r\nMcp-Session-Id:\r\n\r\n", ""],
] as const)("a session is found in %s", ([, text, sessionId]) => {
  expect(look(text)).toEqual({ kind: "decided", sessionId });
});

test.for([
  ["a head without one", "POST /mcp HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["a body that looks like one", "POST /mcp HTTP/1.1\r\nHost: a\r\n\r\n\r\nMcp-Session-Id: x\r\n"],
  ["a header of another name", "GET / HTTP/1.1\r\nX-Mcp-Session-Id: x\r\n\r\n"],
  ["a query of another name", "GET /?xsessionId=a HTTP/1.1\r\n\r\n"],
  ["the query of a header", "GET / HTTP/1.1\r\nReferer: /?sessionId=a\r\n\r\n"],
  ["no HTTP", "\u0016\u0003\u0001"],
  ["an empty line first", "\r\n\r\nGET / HTTP/1.1\r\n"],
] as const)("%s names no session", ([, text]) => {
  expect(look(text)).toEqual(NONE);
});

test.for([
  ["P"],
  ["POST "],
  ["POST /mcp HTTP/1.1\r\nHost: a\r\n"],
  ["POST /mcp HTTP/1.1\r\nMcp-Session-Id: cut"],
  ["POST /messages?sessionId=x HTTP/1.1\r\n"],
] as const)("%j waits for more", ([text]) => {
  expect(look(text)).toEqual(UNDECIDED);
});

test("what is decided of a beginning is decided of the whole, however it is cut", () => {
  const head = fc
    .array(fc.constantFrom("Host: a", "Mcp-Session-Id: one", "X: y", "mcp-session-id: two"))
    .map((lines) => ["POST /mcp?sessionId=q HTTP/1.1", ...lines, "", "body"].join("\r\n"));
  fc.assert(
    fc.property(head, fc.nat(), (text, cut) => {
      const beginning = lookAtHead(Buffer.from(text.slice(0, cut % text.length)));

      const whole = look(text);
      const isDecided = beginning.kind === "decided" && cut % text.length > 0;
      expect(whole).toEqual(isDecided ? beginning : whole);
      expect(whole).toHaveProperty("kind", "decided");
    }),
  );
});

test("bytes of any kind are looked at without an error", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(["decided", "undecided"]).toContain(lookAtHead(Buffer.from(bytes)).kind);
    }),
  );
});

test("a target alone is looked at too", () => {
  expect(sessionIdOfTarget("/messages?sessionId=abc")).toBe("abc");
  expect(sessionIdOfTarget("/messages")).toBeUndefined();
});
