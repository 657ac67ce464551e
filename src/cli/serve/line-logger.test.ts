import { expect, test } from "vitest";
import { fakeOutput } from "../../../test/support/fake-terminal.ts";
import { LineLogger } from "./line-logger.ts";

const NOTHING_ELSEWHERE = { isToldElsewhere: () => false };

test("a line has its level, its message and its fields", () => {
  const output = fakeOutput();
  const logger = new LineLogger(output, { level: "warn", ...NOTHING_ELSEWHERE });

  logger.info("not shown");
  logger.warn("a backend is slow", { backend: "b", ms: 5, absent: undefined });

  expect(output.text).toBe('warn: a backend is slow backend="b" ms=5\n');
});

test("what a stranger said in a field cannot command the terminal", () => {
  const output = fakeOutput();
  const logger = new LineLogger(output, { level: "debug", ...NOTHING_ELSEWHERE });

  logger.error("odd", { said: "\u001B[2J\nnext" });

  expect(output.text).toBe('error: odd said="\\u001b[2J\\nnext"\n');
});

test("lines that are held come in their order when they are released", () => {
  const output = fakeOutput();
  const logger = new LineLogger(output, { level: "warn", ...NOTHING_ELSEWHERE });

  logger.hold();
  logger.warn("one");
  logger.warn("two");
  const held = output.text;
  logger.release();
  logger.warn("three");

  expect(held).toBe("");
  expect(output.text).toBe("warn: one\nwarn: two\nwarn: three\n");
});

test("what the reader learns elsewhere is left out", () => {
  const output = fakeOutput();
  const logger = new LineLogger(output, {
    level: "warn",
    isToldElsewhere: (fields) => "state" in fields,
  });

  logger.warn("backend is not healthy", { state: "unhealthy" });
  logger.warn("something else", { backend: "b" });

  expect(output.text).toBe('warn: something else backend="b"\n');
});
