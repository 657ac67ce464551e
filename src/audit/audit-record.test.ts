import * as fc from "fast-check";
import { expect, test } from "vitest";
import {
  beginningOf,
  clipData,
  clipText,
  encodeRecord,
  NO_SUBJECTS,
  OWN_SOURCE,
  withoutUriSecrets,
} from "./audit-record.ts";

test("a record is one line and holds who, what, when, where, from where and how it ended", () => {
  const line = encodeRecord(
    {
      type: "mcp_tool_call",
      outcome: "success",
      source: { type: "network", value: "192.0.2.1" },
      subjects: { user: "anonymous" },
      target: { name: "two\nlines" },
      extra: { duration_ms: 1 },
      data: { response: "x" },
    },
    "edge",
  );

  expect(line.indexOf("\n")).toBe(line.length - 1);
  expect(JSON.parse(line)).toEqual({
    metadata: { auditId: expect.stringMatching(/^[0-9a-f-]{36}$/), extra: { duration_ms: 1 } },
    type: "mcp_tool_call",
    loggedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    source: { type: "network", value: "192.0.2.1" },
    outcome: "success",
    subjects: { user: "anonymous" },
    component: "edge",
    target: { name: "two\nlines" },
    data: { response: "x" },
  });
});

test("what is not known is left out", () => {
  const event = {
    type: "config_reload",
    outcome: "success",
    source: OWN_SOURCE,
    subjects: NO_SUBJECTS,
  } as const;

  const record: unknown = JSON.parse(encodeRecord(event, "edge"));

  expect(record).not.toHaveProperty("target");
  expect(record).not.toHaveProperty("data");
  expect(record).not.toHaveProperty("metadata.extra");
});

test.for([
  ["https://user:password@host/a", "https://host/a"],
  ["https://host/a?token=secret", "https://host/a"],
  ["https://host/a#secret", "https://host/a"],
  ["file:///a/b@c", "file:///a/b@c"],
  ["custom:a@b", "custom:a@b"],
  ["db://u:p@x@host/a?b\nc", "db://host/a"],
  ["plain", "plain"],
] as const)("of the URI %j the record holds %j", ([uri, kept]) => {
  expect(withoutUriSecrets(uri)).toBe(kept);
});

test("content that fits is kept as it is, and its beginning where it does not", () => {
  const value = { text: "123456789" };

  expect(clipData(value, 20)).toEqual(value);
  expect(clipData(value, 19)).toBe('{"text":"123456789"');
});

test("a beginning is a beginning, whole characters, and no longer than asked for", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.nat(40), (text, maxBytes) => {
      const bytes = Buffer.from(text);

      const beginning = beginningOf(bytes, maxBytes);

      expect(Buffer.byteLength(beginning)).toBeLessThanOrEqual(maxBytes);
      expect(bytes.toString().startsWith(beginning)).toBe(true);
      expect(bytes.length - Buffer.byteLength(beginning)).toBeLessThan(
        Math.max(bytes.length - maxBytes, 0) + 4,
      );
    }),
  );
});

test("texts of strangers are cut, and other values left out", () => {
  expect(clipText("x".repeat(5_000))).toHaveLength(1_000);
  expect(clipText(7)).toBeUndefined();
});
