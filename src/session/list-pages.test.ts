import { expect, test } from "vitest";
import { toListPages } from "./list-pages.ts";

const ITEMS = Array.from({ length: 7 }, (_value, index) => `{"name":"t${index}"}`);

function readAll(pages: ReturnType<typeof toListPages>): { names: string[]; pageCount: number } {
  const names: string[] = [];
  let bytes: Buffer | undefined = pages.first;
  let pageCount = 0;
  while (bytes !== undefined) {
    pageCount += 1;
    const result: { tools: { name: string }[]; nextCursor?: string } = JSON.parse(bytes.toString());
    names.push(...result.tools.map(({ name }) => name));
    bytes = result.nextCursor === undefined ? undefined : pages.at(result.nextCursor);
  }
  return { names, pageCount };
}

test.for([1, 2, 3, 7, 8, 1000])("pages of %i items hold every item once, in order", (pageItems) => {
  const { names, pageCount } = readAll(toListPages("tools", ITEMS, pageItems));

  expect(names).toEqual(["t0", "t1", "t2", "t3", "t4", "t5", "t6"]);
  expect(pageCount).toBe(Math.ceil(7 / pageItems));
});

test("an empty list is one empty page", () => {
  expect(toListPages("tools", []).first.toString()).toBe('{"tools":[]}');
});

test.for(["", "1", "x".repeat(500), "__proto__"])("the cursor %j is unknown", (cursor) => {
  expect(toListPages("tools", ITEMS, 2).at(cursor)).toBeUndefined();
});

test("a cursor of one list is unknown to a list with other items", () => {
  const before: { nextCursor: string } = JSON.parse(
    toListPages("tools", ITEMS, 2).first.toString(),
  );

  expect(
    toListPages("tools", [...ITEMS, '{"name":"new"}'], 2).at(before.nextCursor),
  ).toBeUndefined();
});
