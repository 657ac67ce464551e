import * as fc from "fast-check";
import { expect, test } from "vitest";
import { toHeaderValue } from "./header-values.ts";

test.for([
  ["us-west1", "us-west1"],
  ["a b", "a b"],
  ["", "=?base64??="],
  ["Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="],
  [" padded ", "=?base64?IHBhZGRlZCA=?="],
  ["line1\nline2", "=?base64?bGluZTEKbGluZTI=?="],
  ["\ttab", "=?base64?CXRhYg==?="],
  ["=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="],
] as const)("%j is the header value %j", ([text, value]) => {
  expect(toHeaderValue(text)).toBe(value);
});

test("every text can be told from its header value, which HTTP can always carry", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const value = toHeaderValue(text);

      const encoded = /^=\?base64\?(.*)\?=$/.exec(value)?.[1];
      const decoded =
        encoded === undefined ? value : Buffer.from(encoded, "base64").toString("utf8");
      expect(value).toMatch(/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/);
      expect(decoded).toBe(Buffer.from(text, "utf8").toString("utf8"));
    }),
  );
});
