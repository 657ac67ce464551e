import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { expand, toBytes } from "./generators.ts";

test.for<[object, unknown]>([
  [{ $gen: "repeat", unit: "ab", count: 3 }, "ababab"],
  [{ $gen: "concat", parts: ["x", { $gen: "repeat", unit: "y", count: 2 }] }, "xyy"],
  [{ $gen: "nest", open: "[", close: "]", depth: 2, inner: "1" }, "[[1]]"],
  [{ $gen: "base64", data: "aGk=" }, Buffer.from("hi")],
  [{ $gen: "hex", data: "ff00" }, Buffer.from([255, 0])],
  [{ $gen: "bytes", data: [1, 2] }, Buffer.from([1, 2])],
  [{ $gen: "bytes", value: 7, count: 3 }, Buffer.from([7, 7, 7])],
  [{ $gen: "utf16le", of: "é" }, Buffer.from([0xe9, 0])],
  [
    { $gen: "objectKeys", count: 2 },
    { k0: {}, k1: {} },
  ],
  [{ $gen: "array", count: 3 }, [0, 1, 2]],
  [{ $gen: "uris", count: 1 }, ["res://x/0"]],
  [{ $gen: "anyOf", count: 2 }, { anyOf: [{ const: 0 }, { const: 1 }] }],
  [
    { $gen: "deepSchema", depth: 1 },
    { type: "object", properties: { a: { type: "string" } } },
  ],
  [{ $gen: "yamlKeys", count: 2 }, "k0: 1\nk1: 1\n"],
  [{ $gen: "yamlAliasBomb", levels: 2, width: 2 }, "a0: &a0 [x,x]\na1: &a1 [*a0,*a0]\n"],
])("%j makes %j", ([value, made]) => {
  expect(expand(value)).toEqual(made);
});

test("generators are found wherever they stand in a value", () => {
  const value = { a: [{ b: { $gen: "repeat", unit: "x", count: 2 } }], c: 1 };

  expect(expand(value)).toEqual({ a: [{ b: "xx" }], c: 1 });
});

test("as many keys as asked for look like integers", () => {
  const keys = Object.keys(Object(expand({ $gen: "hashDosKeys", count: 50 })));

  expect(keys).toHaveLength(50);
  expect(keys.filter((key) => !/^\d+$/.test(key))).toEqual([]);
});

test("so many steps make a composite tool", () => {
  expect(String(expand({ $gen: "steps", count: 3 })).match(/- id: s/g)).toHaveLength(3);
});

describe("gzip", () => {
  test("is of what it is given", () => {
    const made = expand({ $gen: "gzip", of: "hi" });

    expect(gunzipSync(toBytes(made)).toString()).toBe("hi");
  });

  test("of many repetitions inflates to all of them", () => {
    const size = 70 * 1024 * 1024;

    const made = toBytes(expand({ $gen: "gzip", of: { $gen: "repeat", unit: "a", count: size } }));

    expect(made.length).toBeLessThan(size / 100);
    expect(gunzipSync(made).length).toBe(size);
  });
});

test.for<[object, RegExp]>([
  [{ $gen: "nothing" }, /the generator "nothing" is not known/],
  [{ $gen: "repeat", unit: "a", count: 1, more: 1 }, /more/],
  [{ $gen: "repeat", unit: "a" }, /count/],
])("%j is not known and no value", ([value, error]) => {
  expect(() => expand(value)).toThrow(error);
});

test("a concatenation with bytes is bytes, and text is what its encoding says", () => {
  const made = expand({ $gen: "concat", parts: ["é", { $gen: "hex", data: "ff" }] });

  expect(made).toEqual(Buffer.from([0xc3, 0xa9, 0xff]));
  expect(toBytes("é", "latin1")).toEqual(Buffer.from([0xe9]));
});
