import { expect, onTestFinished, test } from "vitest";
import { fakeOutput } from "../../../test/support/fake-terminal.ts";
import { widthOf } from "../text.ts";
import { createJsonView } from "./json-view.ts";
import { LiveView } from "./live-view.ts";
import { createPlainView } from "./plain-view.ts";
import type { BackendReport, ServeIntroduction } from "./serve-view.ts";

const URL = "http://127.0.0.1:4483/mcp";
const CURSOR_MOVES = /\p{Cc}\[[?\d]*[A-Za-z]/gu;
const INTRODUCTION: ServeIntroduction = {
  name: "vmcp",
  version: "1.2.3",
  origin: "vmcp.yaml",
  backends: [
    { name: "good", transport: "stdio" },
    { name: "bad", transport: "streamable-http" },
  ],
  notes: ["The flag is off."],
};
const GOOD: BackendReport = { name: "good", state: "healthy", toolCount: 2, reason: undefined };
const BAD: BackendReport = {
  name: "bad",
  state: "unhealthy",
  toolCount: undefined,
  reason:
    'Backend "bad" cannot be reached, and this is a reason that takes far more than one line of 80 columns',
};

test("the plain view says each thing when it happens, without the backend's name twice", () => {
  const output = fakeOutput();
  const view = createPlainView(output, INTRODUCTION);

  view.listening(URL);
  view.backendChanged(GOOD);
  view.backendChanged({ ...BAD, reason: 'Backend "bad" is \u001B[2Jdown' });
  view.ready();
  view.draining(1);
  view.stopped();

  expect(output.text.split("\n")).toEqual([
    "vmcp 1.2.3: 2 backends from vmcp.yaml",
    "note: The flag is off.",
    `listening on ${URL}`,
    "backend good (stdio) is healthy: 2 tools",
    "backend bad (streamable-http) is unhealthy: is [2Jdown",
    "ready",
    "draining… (1 session)",
    "stopped",
    "",
  ]);
});

test("the JSON view prints one object per line", () => {
  const output = fakeOutput();
  const view = createJsonView(output, INTRODUCTION);

  view.listening(URL);
  view.backendChanged(GOOD);
  view.ready();

  const events = output.text
    .trimEnd()
    .split("\n")
    .map((line): unknown => JSON.parse(line));
  expect(events).toEqual([
    { event: "note", message: "The flag is off." },
    { event: "listening", url: URL },
    { event: "backend", name: "good", transport: "stdio", state: "healthy", tools: 2 },
    { event: "ready" },
  ]);
});

test("the live view shows the endpoint at once and what to paste when all is there", () => {
  const output = fakeOutput({ columns: 80, rows: 40 });
  const view = newLiveView(output);

  view.listening(URL);
  const atOnce = output.text;
  view.backendChanged(GOOD);
  view.backendChanged(BAD);
  view.ready();

  expect(atOnce).toContain(URL);
  expect(atOnce).toContain("starting");
  expect(atOnce).not.toContain("claude mcp add");
  expect(output.text).toContain("2 tools from 1 of 2 backends.");
  expect(output.text).toContain(`claude mcp add --transport http vmcp ${URL}`);
});

test("no line of the live view is wider than the terminal", () => {
  const output = fakeOutput({ columns: 80, rows: 40 });
  const view = newLiveView(output);

  view.listening(URL);
  view.backendChanged(GOOD);
  view.backendChanged(BAD);
  view.ready();

  const lines = output.text.replaceAll(CURSOR_MOVES, "").split("\n");
  expect(lines.filter((line) => widthOf(line) > 80)).toEqual([]);
});

test("after the start the live view tells news of a backend, and only news", () => {
  const output = fakeOutput({ columns: 80, rows: 40 });
  const view = newLiveView(output);
  view.listening(URL);
  view.backendChanged(GOOD);
  view.ready();
  const before = output.text;

  view.backendChanged({ ...GOOD, toolCount: 3 });
  view.backendChanged({ ...GOOD, state: "degraded", reason: 'Backend "good" is slow' });
  view.backendChanged(GOOD);

  expect(output.text.slice(before.length)).toBe(
    "  ✖ good is degraded: is slow\n  ✔ good is healthy: 2 tools\n",
  );
});

function newLiveView(output: ReturnType<typeof fakeOutput>): LiveView {
  const view = new LiveView(output, INTRODUCTION);
  onTestFinished(() => view.draining(0));
  return view;
}
