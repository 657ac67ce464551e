import { expect, test } from "vitest";
import type { JsonObject } from "../domain/json.ts";
import { ListCaching } from "./list-caching.ts";

test.for<readonly [readonly JsonObject[], object]>([
  [[], {}],
  [[{ tools: [] }, {}], {}],
  [[{ ttlMs: 5_000, cacheScope: "public" }], { ttlMs: 5_000, cacheScope: "public" }],
  [
    [
      { ttlMs: 5_000, cacheScope: "public" },
      { ttlMs: 70.5, cacheScope: "private" },
    ],
    { ttlMs: 70, cacheScope: "private" },
  ],
  [[{ ttlMs: 5_000, cacheScope: "public" }, {}], { ttlMs: 0, cacheScope: "private" }],
  [[{ ttlMs: -1, cacheScope: "all" }], { ttlMs: 0, cacheScope: "private" }],
  [[{ ttlMs: "5", cacheScope: "public" }], { ttlMs: 0, cacheScope: "public" }],
  [[{ ttlMs: 1e15, cacheScope: "public" }], { ttlMs: 86_400_000, cacheScope: "public" }],
])("pages that say %j are good as %j", ([pages, expected]) => {
  const caching = new ListCaching();

  for (const page of pages) caching.note(page);

  expect(caching.outcome).toEqual(expected);
});
