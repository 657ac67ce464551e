import { setTimeout as delay } from "node:timers/promises";
import { isJsonObject, type JsonObject, type JsonValue } from "../../src/domain/json.ts";

/** One execution of a tool, and what it can do while it lasts. */
export interface ToolCall {
  readonly args: JsonObject;
  /** The JSON text of `arguments` as it came; undefined where the call had none. */
  readonly argumentsText: string | undefined;
  readonly progressToken: JsonValue | undefined;
  /** Aborts when the caller cancels. */
  readonly signal: AbortSignal;
  readonly backendName: string;
  readonly sessionTag: string;
  /** The next value of the session's counter, from 1. */
  count(): number;
  /** Sends a notification on the call's own stream. */
  notify(method: string, params: JsonObject): void;
  /** Sends a request to the client on the call's own stream; the answer's JSON text comes back. */
  ask(method: string, params: JsonObject): Promise<string>;
  /** Whether messages of this level pass the level that the client has set. */
  isLogged(level: string): boolean;
  /** Ends the connection, or the process with this exit code, with no answer. */
  crash(exitCode: number): void;
}

interface BuiltInTool {
  readonly description: string;
  readonly properties: JsonObject;
  /** Returns the JSON text of the result, or undefined for no answer at all. */
  run(call: ToolCall): string | undefined | Promise<string | undefined>;
}

const STRING: JsonObject = { type: "string" };
const INTEGER: JsonObject = { type: "integer" };

/** The tools that every ledger backend has unless its script says otherwise. */
export const BUILT_IN_TOOLS: ReadonlyMap<string, BuiltInTool> = new Map<string, BuiltInTool>([
  [
    "count",
    {
      description: "1, 2, 3 … within one backend session.",
      properties: {},
      run: (call) => text(String(call.count())),
    },
  ],
  [
    "echo",
    {
      description: "Returns its text.",
      properties: { text: STRING },
      run: (call) => text(stringOr(call.args["text"], "")),
    },
  ],
  [
    "nonce",
    {
      description:
        "Returns its nonce, which the ledger has recorded; after `ms`, with `steps` of progress, where it is told so.",
      properties: { nonce: STRING, ms: INTEGER, steps: INTEGER },
      run: async (call) => {
        if (call.args["ms"] !== undefined) await runSlow(call);
        return text(stringOr(call.args["nonce"], ""));
      },
    },
  ],
  [
    "slow",
    {
      description:
        "Answers after `ms`, with `steps` progress messages on the way if a token was given. A stubborn one ignores cancellation.",
      properties: { ms: INTEGER, steps: INTEGER, stubborn: { type: "boolean" } },
      run: runSlow,
    },
  ],
  [
    "whoami",
    {
      description: "Names the backend and a tag that each of its sessions has.",
      properties: {},
      run: (call) => text(`${call.backendName} ${call.sessionTag}`),
    },
  ],
  [
    "big",
    {
      description: "Returns a text of `bytes` bytes.",
      properties: { bytes: INTEGER },
      run: (call) => text("x".repeat(numberOr(call.args["bytes"], 1024))),
    },
  ],
  [
    "raw",
    {
      description: "Returns the JSON text of its arguments as it came on the wire.",
      properties: {},
      run: (call) => text(call.argumentsText ?? ""),
    },
  ],
  [
    "fail",
    {
      description: "Returns an error result.",
      properties: {},
      run: () => '{"content":[{"type":"text","text":"it failed"}],"isError":true}',
    },
  ],
  [
    "hang",
    {
      description: "Never answers.",
      properties: {},
      run: hangUntilCancelled,
    },
  ],
  [
    "ask",
    {
      description: "Sends the request `method` to the client and returns its answer's JSON text.",
      properties: { method: STRING, params: { type: "object" } },
      run: async (call) => text(await call.ask(stringOr(call.args["method"], ""), paramsOf(call))),
    },
  ],
  [
    "emit",
    {
      description: "Sends the notification `method` on the call's stream `times` times.",
      properties: { method: STRING, params: { type: "object" }, times: INTEGER },
      run: (call) => {
        const times = numberOr(call.args["times"], 1);
        for (let n = 0; n < times; n += 1)
          call.notify(stringOr(call.args["method"], ""), paramsOf(call));
        return text("sent");
      },
    },
  ],
  [
    "log",
    {
      description:
        "Sends a log message of `level` on the call's stream, if the session's level lets it.",
      properties: { level: STRING, data: STRING },
      run: (call) => {
        const level = stringOr(call.args["level"], "info");
        const data = call.args["data"] ?? "";
        if (call.isLogged(level)) call.notify("notifications/message", { level, data });
        return text("logged");
      },
    },
  ],
  [
    "crash",
    {
      description: "Ends the connection, or the process with exit code `code`, with no answer.",
      properties: { code: INTEGER },
      run: (call) => {
        call.crash(numberOr(call.args["code"], 1));
        return undefined;
      },
    },
  ],
]);

/** The built-in tools as entries of `tools/list`, each as JSON text. */
export function builtInEntries(): readonly string[] {
  return [...BUILT_IN_TOOLS].map(([name, { description, properties }]) =>
    JSON.stringify({ name, description, inputSchema: { type: "object", properties } }),
  );
}

async function runSlow(call: ToolCall): Promise<string> {
  const ms = numberOr(call.args["ms"], 100);
  const steps = numberOr(call.args["steps"], 0);
  const options = call.args["stubborn"] === true ? {} : { signal: call.signal };
  const { progressToken } = call;
  for (let step = 1; step <= steps; step += 1) {
    // The steps follow one another: that is what makes the tool slow.
    // oxlint-disable-next-line no-await-in-loop
    await delay(ms / steps, undefined, options);
    if (progressToken !== undefined)
      call.notify("notifications/progress", { progressToken, progress: step, total: steps });
  }
  if (steps === 0) await delay(ms, undefined, options);
  return text(`waited ${ms} ms`);
}

async function hangUntilCancelled({ signal }: ToolCall): Promise<undefined> {
  await new Promise<void>((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function text(value: string): string {
  return JSON.stringify({ content: [{ type: "text", text: value }] });
}

function paramsOf(call: ToolCall): JsonObject {
  const params = call.args["params"];
  return isJsonObject(params) ? params : {};
}

function numberOr(value: JsonValue | undefined, otherwise: number): number {
  return typeof value === "number" ? value : otherwise;
}

export function stringOr(value: JsonValue | undefined, otherwise: string): string {
  return typeof value === "string" ? value : otherwise;
}
