import * as fc from "fast-check";
import { expect, test } from "vitest";
import { encodeError, encodeNotification, encodeRequest, encodeResult } from "./json-rpc.ts";

const ID = fc.oneof(fc.string(), fc.maxSafeInteger());

test("an answer holds the id as the client wrote it and the result as it was prepared", () => {
  const fromText = encodeResult("9007199254740993", '{"n":1.0}');
  const fromBytes = encodeResult('"a"', Buffer.from('{"n":1.0}'));

  expect(fromText.toString()).toBe('{"jsonrpc":"2.0","id":9007199254740993,"result":{"n":1.0}}');
  expect(fromBytes.toString()).toBe('{"jsonrpc":"2.0","id":"a","result":{"n":1.0}}');
});

test("an error whose request could not be told has no id, not even null", () => {
  const bytes = encodeError(undefined, { code: -1, message: "no" });

  expect(bytes.toString()).toBe('{"jsonrpc":"2.0","error":{"code":-1,"message":"no"}}');
});

test("whatever texts hold, what is encoded parses to what was given", () => {
  fc.assert(
    fc.property(ID, fc.string({ unit: "binary" }), (id, text) => {
      const idJson = JSON.stringify(id);
      const params = { text };

      expect(JSON.parse(encodeRequest(id, text, params).toString())).toEqual({
        jsonrpc: "2.0",
        id,
        method: text,
        params,
      });
      expect(JSON.parse(encodeNotification(text).toString())).toEqual({
        jsonrpc: "2.0",
        method: text,
      });
      expect(JSON.parse(encodeError(idJson, { code: 1, message: text }).toString())).toEqual({
        jsonrpc: "2.0",
        id,
        error: { code: 1, message: text },
      });
    }),
  );
});
