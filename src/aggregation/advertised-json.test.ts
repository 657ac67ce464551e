import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { CapabilityKind } from "../domain/capabilities.ts";
import { parseBackendName } from "../domain/ids.ts";
import type { JsonObject } from "../domain/json.ts";
import { toAdvertisedJson } from "./advertised-json.ts";
import type { NamedCandidate } from "./candidate.ts";
import type { CapabilityOverride } from "./settings.ts";

const KEY_FIELDS = {
  tool: "name",
  prompt: "name",
  resource: "uri",
  resourceTemplate: "uriTemplate",
} as const satisfies Record<CapabilityKind, string>;

function named(
  json: string,
  advertisedName?: string,
  override?: CapabilityOverride,
  kind: CapabilityKind = "tool",
): NamedCandidate {
  const value: JsonObject = JSON.parse(json);
  const field = value[KEY_FIELDS[kind]];
  const key = typeof field === "string" ? field : "";
  const backend = parseBackendName("backend");
  return {
    candidate: { backend, capability: { kind, key, json, value }, name: key, override },
    advertisedName: advertisedName ?? key,
  };
}

test("an unchanged capability is the backend's own text", () => {
  const json = '{ "name" : "x",\n"vendor":{"name":"x"} }';

  expect(toAdvertisedJson(named(json))).toBe(json);
});

test("a rename changes the bytes of the name and no others", () => {
  const json = String.raw`{"x-vendor":{"name":"in"},"big":9223372036854775807, "na\u006de" : "x" ,"__proto__":{"a":1.0},"tail":"\u00e9é"}`;

  expect(toAdvertisedJson(named(json, "b_x"))).toBe(
    String.raw`{"x-vendor":{"name":"in"},"big":9223372036854775807, "na\u006de" : "b_x" ,"__proto__":{"a":1.0},"tail":"\u00e9é"}`,
  );
});

test("a rename fabricates no title", () => {
  const json = toAdvertisedJson(named('{"name":"x"}', "b_x"));

  expect(json).toBe('{"name":"b_x"}');
});

test("a name that is written twice is replaced twice, so that every reader sees the new one", () => {
  expect(toAdvertisedJson(named('{"name":"evil","name":"x"}', "b_x"))).toBe(
    '{"name":"b_x","name":"b_x"}',
  );
});

test.for([
  ["replaces", '{"name":"x","description":"old","z":1}', '{"name":"x","description":"new","z":1}'],
  ["adds", '{"name":"x","z":1 }', '{"name":"x","z":1,"description":"new" }'],
] as const)("an override %s the description", ([, json, expected]) => {
  expect(toAdvertisedJson(named(json, "x", { description: "new" }))).toBe(expected);
});

test("annotations of an override are laid over the backend's, field by field", () => {
  const json = '{"annotations":{"a":1.0,"readOnlyHint":false,"big":1e400},"name":"x"}';
  const override = { annotations: { readOnlyHint: true, title: "T" } };

  expect(toAdvertisedJson(named(json, "x", override))).toBe(
    '{"annotations":{"a":1.0,"readOnlyHint":true,"big":1e400,"title":"T"},"name":"x"}',
  );
});

test.for([
  ["absent", '{"name":"x"}', '{"name":"x","annotations":{"a":true}}'],
  ["null", '{"annotations":null,"name":"x"}', '{"annotations":{"a":true},"name":"x"}'],
  ["empty", '{"annotations":{ },"name":"x"}', '{"annotations":{"a":true },"name":"x"}'],
] as const)("annotations of an override stand where the backend's are %s", ([, json, expected]) => {
  expect(toAdvertisedJson(named(json, "x", { annotations: { a: true } }))).toBe(expected);
});

test("name, description and annotations change together", () => {
  const json = '{"description":"d","name":"x","inputSchema":{}}';
  const override = { name: "y", description: 'new "d"', annotations: { readOnlyHint: true } };

  const value: unknown = JSON.parse(toAdvertisedJson(named(json, "b_y", override)));

  expect(value).toEqual({
    description: 'new "d"',
    name: "b_y",
    inputSchema: {},
    annotations: { readOnlyHint: true },
  });
});

test.for([
  ["resource", '{"uri":"a://b","name":"old"}', '{"uri":"a://b","name":"new"}'],
  ["resourceTemplate", '{"uriTemplate":"a://{b}"}', '{"uriTemplate":"a://{b}","name":"new"}'],
] as const)(
  "an override of a %s changes the shown name and never the URI",
  ([kind, json, expected]) => {
    expect(toAdvertisedJson(named(json, undefined, { name: "new" }, kind))).toBe(expected);
  },
);

test("whatever else a tool has is equal after any change", () => {
  const overrides = fc.record(
    {
      description: fc.string({ unit: "binary" }),
      annotations: fc.constant({ readOnlyHint: true }),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), overrides, (extra, override) => {
      const json = JSON.stringify({ ...extra, annotations: { vendor: 1 }, name: "x" });

      const result: unknown = JSON.parse(toAdvertisedJson(named(json, "b_x", override)));

      const { annotations, ...changed } = override;
      expect(result).toEqual({
        // It was made from an object above.
        ...(JSON.parse(json) as JsonObject),
        ...changed,
        name: "b_x",
        annotations: { vendor: 1, ...annotations },
      });
    }),
  );
});
