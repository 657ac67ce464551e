import { expect, test } from "vitest";
import { dialectOf } from "./dialects.ts";

test.for([
  [{}, "2020-12"],
  [{ $schema: "https://json-schema.org/draft/2020-12/schema" }, "2020-12"],
  [{ $schema: "https://json-schema.org/draft/2020-12/schema#" }, "2020-12"],
  [{ $schema: "http://json-schema.org/draft-07/schema#" }, "draft-07"],
  [{ $schema: "https://json-schema.org/draft-07/schema" }, "draft-07"],
  [{ $schema: "http://json-schema.org/draft-04/schema#" }, undefined],
  [{ $schema: "https://json-schema.org/draft/2019-09/schema" }, undefined],
  [{ $schema: "https://example.com/dialect" }, undefined],
  [{ $schema: "" }, undefined],
  [{ $schema: 7 }, undefined],
  [{ $schema: null }, undefined],
] as const)("%j is written in %s", ([schema, dialect]) => {
  expect(dialectOf(schema)).toBe(dialect);
});
