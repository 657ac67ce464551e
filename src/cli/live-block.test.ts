import { expect, onTestFinished, test } from "vitest";
import { fakeOutput } from "../../test/support/fake-terminal.ts";
import { LiveBlock } from "./live-block.ts";

const ERASE_TWO_LINES = "\u001B[2A\u001B[0J";
const SHOW_CURSOR = "\u001B[?25h";

test("each frame is drawn over the one before", () => {
  const output = fakeOutput();
  let state = "starting";
  const block = newBlock(output, () => ["title", state]);

  state = "done";
  block.draw();

  expect(output.text).toContain(`title\nstarting\n${ERASE_TWO_LINES}title\ndone\n`);
});

test("stopping leaves the last lines and gives the cursor back, once", () => {
  const output = fakeOutput();
  const block = newBlock(output, () => ["one", "two"]);

  block.stop();
  const text = output.text;
  block.stop();
  block.draw();

  expect(text.endsWith(`one\ntwo\n${SHOW_CURSOR}`)).toBe(true);
  expect(output.text).toBe(text);
});

test("lines beyond the height of the terminal come only at the end, where nothing is drawn over", () => {
  const output = fakeOutput({ rows: 5 });
  const lines = ["1", "2", "3", "4", "5", "6"];
  const block = newBlock(output, () => lines);
  const drawn = output.text;

  block.stop();

  expect(drawn.endsWith("1\n2\n…\n")).toBe(true);
  expect(output.text).toContain("1\n2\n3\n4\n5\n6\n");
});

test("a process that ends in between gives the cursor back, and nothing is left behind after a stop", () => {
  const output = fakeOutput();
  const before = process.listeners("exit");
  const block = newBlock(output, () => ["one"]);
  const [onExit] = process.listeners("exit").filter((listener) => !before.includes(listener));

  onExit?.(0);
  const text = output.text;
  block.stop();

  expect(text.endsWith(`one\n${SHOW_CURSOR}`)).toBe(true);
  expect(process.listeners("exit")).toEqual(before);
});

function newBlock(...args: ConstructorParameters<typeof LiveBlock>): LiveBlock {
  const block = new LiveBlock(...args);
  onTestFinished(() => block.stop());
  return block;
}
