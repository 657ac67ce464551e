import { assert, property, string } from "fast-check";
import { expect, test } from "vitest";
import { Sealer } from "./sealer.ts";

test("what is sealed opens in its context and with its key, whatever the text", () => {
  const always = property(string(), string(), string(), (text, context, key) => {
    const sealed = new Sealer([key]).seal(text, context);

    // Half of a pair of surrogates is no text; UTF-8 writes it as a replacement.
    expect(new Sealer([key]).open(sealed, context)).toBe(Buffer.from(text).toString());
  });
  assert(always);
});

test("a seal with any bit turned opens nothing", () => {
  const sealer = new Sealer(["k"]);
  const sealed = Buffer.from(sealer.seal("some text", "context"), "base64url");

  const opened = Array.from({ length: sealed.length * 8 }, (_value, bit) => {
    const turned = Buffer.from(sealed);
    turned.writeUInt8(turned.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    return sealer.open(turned.toString("base64url"), "context");
  });

  expect(new Set(opened)).toEqual(new Set([undefined]));
});

test.for([
  ["in another context", ["k"], "other"],
  ["with another key", ["other"], "context"],
  ["with a random key", [], "context"],
] as const)("a seal does not open %s", ([, keys, context]) => {
  const sealed = new Sealer(["k"]).seal("text", "context");

  const opened = new Sealer(keys).open(sealed, context);

  expect(opened).toBeUndefined();
});

test("the first key seals and every key opens, so that a new one can be put in front", () => {
  const old = new Sealer(["old"]);
  const both = new Sealer(["new", "old"]);
  const fresh = new Sealer(["new"]);

  expect(both.open(old.seal("text", "c"), "c")).toBe("text");
  expect(fresh.open(both.seal("text", "c"), "c")).toBe("text");
});

test.for(["", "short", "not base64 at all!", "=".repeat(80), "A".repeat(80)])(
  "%j opens nothing",
  (text) => {
    const opened = new Sealer(["k"]).open(text, "c");

    expect(opened).toBeUndefined();
  },
);

test("one seal has one spelling", () => {
  const sealer = new Sealer(["k"]);
  const sealed = sealer.seal("ab", "c");

  expect(sealer.open(`${sealed}=`, "c")).toBeUndefined();
  expect(sealer.open(`${sealed}\n`, "c")).toBeUndefined();
});
