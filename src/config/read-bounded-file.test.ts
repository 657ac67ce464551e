import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readBoundedFile } from "./read-bounded-file.ts";

/** Node cannot make one itself. */
const MAKE_FIFO = "mkfifo";

let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "vmcp-read-"));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

function file(name: string, content: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

test("a file is read as UTF-8 without its byte order mark", () => {
  const path = file("bom.yaml", "\uFEFFname: ä\n");

  expect(readBoundedFile(path, 100)).toBe("name: ä\n");
});

test("a file of exactly the limit is read and one byte more is refused", () => {
  const path = file("large.yaml", "x".repeat(100_000));

  expect(readBoundedFile(path, 100_000)).toHaveLength(100_000);
  expect(() => readBoundedFile(path, 99_999)).toThrow("is larger than 99999 bytes");
});

test("bytes that are not UTF-8 are refused", () => {
  const path = file("latin1.yaml", Buffer.from([0x61, 0xe4, 0x0a]));

  expect(() => readBoundedFile(path, 100)).toThrow("is not UTF-8 text");
});

test("a missing file, a directory and a device are named as such", () => {
  expect(() => readBoundedFile(join(folder, "absent"), 100)).toThrow("does not exist");
  expect(() => readBoundedFile(folder, 100)).toThrow("is a directory");
  expect(() => readBoundedFile("/dev/zero", 100)).toThrow("is not a regular file");
});

test("a FIFO that nobody writes to is refused without waiting", () => {
  const path = join(folder, "fifo");
  execFileSync(MAKE_FIFO, [path]);

  expect(() => readBoundedFile(path, 100)).toThrow("is not a regular file");
});
