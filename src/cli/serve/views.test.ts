import { expect, onTestFinished, test } from "vitest";
import { fakeOutput } from "../../../test/support/fake-terminal.ts";
import type { LogFields } from "../../domain/logger.ts";
import { widthOf } from "../text.ts";
import { createJsonView } from "./json-view.ts";
import { LiveView } from "./live-view.ts";
import { createPlainView } from "./plain-view.ts";
import {
  isShownByViews,
  type BackendReport,
  type ReloadNews,
  type ServeIntroduction,
} from "./serve-view.ts";

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
    `next: claude mcp add --transport http vmcp ${URL}`,
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
    "  ! good is degraded: is slow\n  ✔ good is healthy: 2 tools\n",
  );
});

test("what a degraded backend offers counts among what is there", () => {
  const output = fakeOutput({ columns: 80, rows: 40 });
  const view = newLiveView(output);

  view.listening(URL);
  view.backendChanged({ ...GOOD, state: "degraded", reason: 'Backend "good" answers slowly' });
  view.backendChanged(BAD);
  view.ready();

  expect(output.text).toContain("2 tools from 1 of 2 backends.");
});

function newLiveView(output: ReturnType<typeof fakeOutput>): LiveView {
  const view = new LiveView(output, INTRODUCTION);
  onTestFinished(() => view.draining(0));
  return view;
}

const NEWS: ReloadNews = {
  generation: 2,
  changes: [
    { kind: "backend_added", backend: "new" },
    { kind: "backend_removed", backend: "bad" },
    { kind: "backend_changed", backend: "good", fields: ["headers"], connections: "reconnect" },
    { kind: "setting_changed", path: "aggregation" },
    { kind: "needs_restart", path: "server.port" },
  ],
  sessions: 3,
  tools: { added: ["a"], removed: ["1", "2", "3", "4", "5", "6", "7", "8", "9"] },
  backends: [
    { name: "new", transport: "sse" },
    { name: "good", transport: "stdio" },
  ],
  notes: ["The flag is off.", "Something else is odd."],
};

test("the plain view says each change of a reload in a line, and knows the new backends", () => {
  const output = fakeOutput();
  const view = createPlainView(output, { ...INTRODUCTION });
  const start = output.text.length;

  view.reloaded(NEWS);
  view.backendChanged({ ...GOOD, name: "new" });
  view.reloadRefused(["vmcp.yaml:1:1 a: is wrong"]);

  expect(output.text.slice(start).split("\n")).toEqual([
    "backend new is added",
    "backend bad is removed",
    "backend good is changed (headers): each session connects anew",
    "aggregation is changed",
    "server.port needs a restart and stays as it was",
    "1 tool added: a",
    "9 tools removed: 1, 2, 3, 4, 5, 6, 7, 8, …",
    "note: Something else is odd.",
    "configuration reloaded (generation 2): 4 changes in force, 3 sessions",
    "backend new (sse) is healthy: 2 tools",
    "problem: vmcp.yaml:1:1 a: is wrong",
    "configuration not reloaded: the one before stays in force",
    "",
  ]);
});

test.for([
  ["plain", createPlainView],
  ["live", (output, introduction) => new LiveView(output, introduction)],
] as const satisfies readonly (readonly [string, typeof createPlainView])[])(
  "the %s view says a note about the configuration once, and again when it came back",
  ([, create]) => {
    const output = fakeOutput({ columns: 80, rows: 40 });
    const view = create(output, INTRODUCTION);
    const [odd, plain] = [NEWS, { ...NEWS, notes: [] }];

    view.reloaded(odd);
    view.reloaded(odd);
    const once = output.text.split("Something else is odd.").length - 1;
    view.reloaded(plain);
    view.reloaded(odd);

    expect(once).toBe(1);
    expect(output.text.split("Something else is odd.").length - 1).toBe(2);
  },
);

test.for<readonly [string, ReloadNews["changes"], string]>([
  ["nothing", [], "configuration read again: nothing changed"],
  [
    "only what needs a restart",
    [{ kind: "needs_restart", path: "server.port" }],
    "configuration reloaded (generation 2): nothing changed, 3 sessions",
  ],
])("a reload that changed %s says so", ([, changes, words]) => {
  const output = fakeOutput();
  const view = createPlainView(output, INTRODUCTION);

  view.reloaded({ ...NEWS, changes, tools: { added: [], removed: [] } });

  expect(output.text.split("\n").at(-2)).toBe(words);
});

test("in the live view no line about a reload is cut by the terminal", () => {
  const output = fakeOutput({ columns: 60, rows: 40 });
  const view = newLiveView(output);
  const names = Array.from({ length: 8 }, (_, index) => `memory_do_something_${String(index)}`);

  view.reloaded({ ...NEWS, tools: { added: [], removed: names } });
  view.reloadRefused([`vmcp.yaml:1:1 a: must be one of ${names.join(", ")}`]);

  const lines = output.text.split("\n");
  expect(lines.filter((line) => widthOf(line) > 60)).toEqual([]);
  expect(lines.some((line) => /^ {4}memory_do_something_\d/.test(line))).toBe(true);
});

test.for<readonly [ReloadNews["changes"][number], number]>([
  [{ kind: "backend_removed", backend: "good" }, 1],
  [{ kind: "backend_added", backend: "good" }, 1],
  [{ kind: "backend_changed", backend: "good", fields: ["url"], connections: "replace" }, 1],
  [{ kind: "backend_changed", backend: "good", fields: ["headers"], connections: "reconnect" }, 0],
])("after a reload with %j the live view says %i times that it is healthy", ([change, times]) => {
  const output = fakeOutput({ columns: 80, rows: 40 });
  const view = newLiveView(output);
  view.listening(URL);
  view.backendChanged(GOOD);
  view.ready();
  const start = output.text.length;

  view.reloaded({ ...NEWS, changes: [change] });
  view.backendChanged(GOOD);

  expect(output.text.slice(start).split("good is healthy: 2 tools")).toHaveLength(times + 1);
});

test("the live view marks the changes of a reload and lets nobody's text command the terminal", () => {
  const output = fakeOutput({ columns: 80, rows: 40 });
  const view = newLiveView(output);
  view.listening(URL);
  view.ready();
  const start = output.text.length;

  view.reloaded({ ...NEWS, tools: { added: ["\u001B[2Jevil"], removed: [] } });
  view.reloadRefused(["\u001B[2Jbad"]);

  const text = output.text.slice(start);
  expect(text).toContain("+ backend new is added");
  expect(text).toContain("- backend bad is removed");
  expect(text).toContain("! server.port needs a restart");
  expect(text).not.toContain("\u001B[2J");
});

test.for<readonly [LogFields, boolean]>([
  [{ backend: "b", state: "unhealthy" }, true],
  [{ backend: "b", circuit: "open", failures: 2 }, true],
  [{ problems: 1 }, true],
  [{ backend: "b", status: 400 }, false],
  [{ reason: "ENOENT" }, false],
  [{}, false],
])("a log line with %j is shown by the views already: %s", ([fields, isShown]) => {
  expect(isShownByViews(fields)).toBe(isShown);
});
