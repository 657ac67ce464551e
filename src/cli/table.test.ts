import { expect, test } from "vitest";
import { table } from "./table.ts";

test("columns are aligned by the cells that they take on the screen", () => {
  const lines = table(
    [
      [{ text: "a" }, { text: "世界" }, { text: "x" }],
      [{ text: "bbb" }, { text: "c" }, { text: "y" }],
    ],
    { columns: 80, indent: "  " },
  );

  expect(lines).toEqual(["  a    世界  x", "  bbb  c     y"]);
});

test("the last column is cut to what is left of the line", () => {
  const lines = table([[{ text: "name" }, { text: "a long description" }]], { columns: 17 });

  expect(lines).toEqual(["name  a long des…"]);
});

test("colour goes around the padded text, so that it does not move the columns", () => {
  const lines = table(
    [
      [{ text: "a", paint: inAngles }, { text: "b" }],
      [{ text: "ccc" }, { text: "d" }],
    ],
    {
      columns: 80,
    },
  );

  expect(lines).toEqual(["<a  >  b", "ccc  d"]);
});

test("no rows are no lines", () => {
  expect(table([], { columns: 80 })).toEqual([]);
});

function inAngles(text: string): string {
  return `<${text}>`;
}
