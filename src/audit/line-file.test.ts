import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { expect, onTestFinished, test } from "vitest";
import { AppendedFile } from "./line-file.ts";

const IS_LINUX = process.platform === "linux";

/** Of the system; Node cannot make one. */
const MAKE_PIPE = "mkfifo";

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "vmcp-audit-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test("a file that is not there is made", () => {
  const path = join(temporaryFolder(), "audit.log");
  using file = new AppendedFile(path);

  const taken = file.write(Buffer.from("one\n"));

  expect(taken).toBe(4);
  expect(readFileSync(path, "utf8")).toBe("one\n");
});

test.runIf(IS_LINUX)("a file that is made is its owner's only", () => {
  const path = join(temporaryFolder(), "audit.log");
  using file = new AppendedFile(path);

  file.write(Buffer.from("one\n"));

  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("nothing is opened before the first write", () => {
  const path = join(temporaryFolder(), "audit.log");

  using _file = new AppendedFile(path);

  expect(() => statSync(path)).toThrow("ENOENT");
});

test("what a file holds already is kept", () => {
  const path = join(temporaryFolder(), "audit.log");
  writeFileSync(path, "before\n");
  using file = new AppendedFile(path);

  file.write(Buffer.from("after\n"));

  expect(readFileSync(path, "utf8")).toBe("before\nafter\n");
});

test.for([
  ["moved away", (path: string) => renameSync(path, `${path}.1`)],
  ["removed", (path: string) => rmSync(path)],
] as const)("a file that was %s is made anew within a second of use", ([, rotate]) => {
  const path = join(temporaryFolder(), "audit.log");
  let nowMs = 0;
  using file = new AppendedFile(path, () => nowMs);
  file.write(Buffer.from("one\n"));

  rotate(path);
  nowMs = 999;
  file.write(Buffer.from("two\n"));
  nowMs = 1_000;
  file.write(Buffer.from("three\n"));

  expect(readFileSync(path, "utf8")).toBe("three\n");
});

test("a file that was moved away gets nothing after its successor is there", () => {
  const path = join(temporaryFolder(), "audit.log");
  let nowMs = 0;
  using file = new AppendedFile(path, () => nowMs);
  file.write(Buffer.from("one\n"));
  renameSync(path, `${path}.1`);

  nowMs = 5_000;
  file.write(Buffer.from("two\n"));

  expect(readFileSync(`${path}.1`, "utf8")).toBe("one\n");
});

test("a folder in place of the file is an error, and the file is found once it is gone", () => {
  const path = join(temporaryFolder(), "audit.log");
  mkdirSync(path);
  using file = new AppendedFile(path);

  expect(() => file.write(Buffer.from("one\n"))).toThrow("EISDIR");
  rmSync(path, { recursive: true });
  file.write(Buffer.from("two\n"));

  expect(readFileSync(path, "utf8")).toBe("two\n");
});

test.runIf(IS_LINUX)("a full disk is an error [F36]", () => {
  using file = new AppendedFile("/dev/full");

  expect(() => file.write(Buffer.from("one\n"))).toThrow("ENOSPC");
});

test.runIf(IS_LINUX)("a pipe that nobody reads is an error and does not bring us to a halt", () => {
  const path = join(temporaryFolder(), "pipe");
  execFileSync(MAKE_PIPE, [path]);
  using file = new AppendedFile(path);

  expect(() => file.write(Buffer.from("one\n"))).toThrow("ENXIO");
});
