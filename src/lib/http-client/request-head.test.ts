import { expect, test } from "vitest";
import { encodeRequestHead } from "./request-head.ts";
import type { HttpRequest } from "./request-sender.ts";

const REQUEST: HttpRequest = { method: "GET", path: "/mcp?a=%20", headers: ["accept", "a/b"] };

test("a request begins with its line, its host and its headers, and says how long its body is", () => {
  const body = Buffer.from("ü");

  const head = encodeRequestHead("host:81", { ...REQUEST, method: "POST", body });

  expect(head.split("\r\n")).toEqual([
    "POST /mcp?a=%20 HTTP/1.1",
    "host: host:81",
    "connection: keep-alive",
    "accept: a/b",
    "content-length: 2",
    "",
    "",
  ]);
});

test.for([
  ["GET", undefined],
  ["DELETE", undefined],
  ["POST", "content-length: 0"],
] as const)("a %s without a body says of its length: %s", ([method, expected]) => {
  const head = encodeRequestHead("h", { ...REQUEST, method });

  const line = head.split("\r\n").find((each) => each.startsWith("content-length"));
  expect(line).toBe(expected);
});

test.for<Partial<HttpRequest>>([
  { path: "" },
  { path: "/a b" },
  { path: "/a\r\nx: y" },
  { path: "/ü" },
  { headers: ["a b", "c"] },
  { headers: ["a\r\nb", "c"] },
  { headers: ["", "c"] },
  { headers: ["a", "b\r\nc: d"] },
  { headers: ["a", "b\nc"] },
  { headers: ["a", "b\u0000"] },
  { headers: ["a", "\u0100"] },
])("nothing that would end a line or is no character of HTTP gets into a request: %j", (part) => {
  expect(() => encodeRequestHead("h", { ...REQUEST, ...part })).toThrow(
    expect.objectContaining({ code: "ERR_INVALID_REQUEST" }),
  );
});
