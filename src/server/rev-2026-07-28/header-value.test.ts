import { assert, property, string } from "fast-check";
import { expect, test } from "vitest";
import { decodeHeaderValue } from "./header-value.ts";

test.for([
  ["us-west1", "us-west1"],
  ["", ""],
  ["=?base64?SGVsbG8sIOS4lueVjA==?=", "Hello, 世界"],
  ["=?base64?IHBhZGRlZCA=?=", " padded "],
  ["=?base64?bGluZTEKbGluZTI=?=", "line1\nline2"],
  ["=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=", "=?base64?literal?="],
  ["=?base64??=", ""],
  ["=?BASE64?QQ==?=", "=?BASE64?QQ==?="],
  ["=?base64?=", "=?base64?="],
] as const)("%j stands for %j", ([value, text]) => {
  expect(decodeHeaderValue(value)).toBe(text);
});

test.for([
  ["no Base64", "=?base64?@@@?="],
  ["Base64 without its padding", "=?base64?QQ?="],
  ["Base64 with something behind it", "=?base64?QQ==x?="],
  ["bytes that are no UTF-8", "=?base64?/w==?="],
  ["a character beyond ASCII", "caf\u00e9"],
  ["a control character", "a\u0000b"],
] as const)("a value with %s stands for nothing", ([, value]) => {
  expect(decodeHeaderValue(value)).toBeUndefined();
});

test("whatever is wrapped as the revision says comes out again", () => {
  const always = property(string({ unit: "grapheme" }), (text) => {
    const wrapped = `=?base64?${Buffer.from(text).toString("base64")}?=`;

    expect(decodeHeaderValue(wrapped)).toBe(text);
  });
  assert(always);
});
