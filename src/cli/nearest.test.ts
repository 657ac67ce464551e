import { expect, test } from "vitest";
import { nearest } from "./nearest.ts";

const KNOWN = ["files_read_file", "files_write_file", "memory_read_graph", "echo"];

test.for([
  ["files_raed_file", ["files_read_file"]],
  ["read", ["files_read_file", "memory_read_graph"]],
  ["ECHO", ["echo"]],
  ["nothing-like-it", []],
  ["e", []],
] as const)("%j is most likely one of %j", ([name, expected]) => {
  expect(nearest(name, KNOWN, 2)).toEqual(expect.arrayContaining([...expected]));
  expect(nearest(name, KNOWN, 2).length === 0).toBe(expected.length === 0);
});

test("there are never more than asked for", () => {
  expect(nearest("file", KNOWN, 1)).toHaveLength(1);
});
