import type { JsonObject } from "../../src/domain/json.ts";

/**
 * What a ledger backend offers and how it behaves. Lists and results are JSON text, sent as they are, so that
 * a test can offer what no library would build. Replaced as a whole by `change`.
 */
export interface LedgerScript {
  /** Reported as `serverInfo.name` and by `whoami`. */
  readonly name: string;
  /** Answered to `initialize`; undefined answers with the revision that was asked for. */
  readonly revision: string | undefined;
  readonly instructions: string | undefined;
  /** Undefined declares what the lists below call for, plus logging and completions. */
  readonly capabilities: JsonObject | undefined;
  /** False leaves only `tools`. */
  readonly hasBuiltInTools: boolean;
  /** Further tools, each the JSON text of one entry of `tools/list`. */
  readonly tools: readonly string[];
  /** Tool name → JSON text of the `result` its calls get. Goes before the built-in tools. */
  readonly results: ReadonlyMap<string, string>;
  readonly resources: readonly string[];
  readonly resourceTemplates: readonly string[];
  readonly prompts: readonly string[];
  /** URI → JSON text of the result of `resources/read`; others get a text that names backend and URI. */
  readonly contents: ReadonlyMap<string, string>;
  /** Prompt name → JSON text of the result of `prompts/get`. */
  readonly promptResults: ReadonlyMap<string, string>;
  /** JSON text of the result of every `completion/complete`. */
  readonly completion: string;
  /** Entries per page of every list; undefined means one page. */
  readonly pageSize: number | undefined;
  readonly initDelayMs: number;
  /** `hang` answers only after a `change` to another value; `fail` answers with a JSON-RPC error. */
  readonly initialize: "answer" | "hang" | "fail";
  /** `hang` answers only after a `change` to another value; `unknown` says that there is no such method. */
  readonly ping: "answer" | "hang" | "unknown";
  readonly pingDelayMs: number;
  /** What becomes of every call of a tool: dying leaves no answer, and before means that nothing ran. */
  readonly callFate: "answer" | "die-before" | "die-after" | "hang";
  /** How a lone HTTP answer is sent. What comes with events before it is always an event stream. */
  readonly answerAs: "json" | "sse";
  /** Every HTTP request gets this status and no body. */
  readonly refuseWithStatus: number | undefined;
}

export const DEFAULT_SCRIPT: LedgerScript = {
  name: "ledger",
  revision: undefined,
  instructions: undefined,
  capabilities: undefined,
  hasBuiltInTools: true,
  tools: [],
  results: new Map(),
  resources: [],
  resourceTemplates: [],
  prompts: [],
  contents: new Map(),
  promptResults: new Map(),
  completion: '{"completion":{"values":["alpha","beta"],"hasMore":false}}',
  pageSize: undefined,
  initDelayMs: 0,
  initialize: "answer",
  ping: "answer",
  pingDelayMs: 0,
  callFate: "answer",
  answerAs: "json",
  refuseWithStatus: undefined,
};

/** The capabilities that a backend with this script declares, as JSON text. */
export function declaredCapabilities(script: LedgerScript): string {
  if (script.capabilities !== undefined) return JSON.stringify(script.capabilities);
  const hasResources = script.resources.length + script.resourceTemplates.length > 0;
  return JSON.stringify({
    logging: {},
    completions: {},
    ...((script.hasBuiltInTools || script.tools.length > 0) && { tools: { listChanged: true } }),
    ...(hasResources && { resources: { listChanged: true, subscribe: true } }),
    ...(script.prompts.length > 0 && { prompts: { listChanged: true } }),
  });
}

/**
 * One page of a list as the JSON text of a result. Cursors are offsets; an unknown one gives an empty page.
 */
export function pageOf(
  member: string,
  entries: readonly string[],
  pageSize: number | undefined,
  cursor: unknown,
): string {
  const size = pageSize ?? Math.max(entries.length, 1);
  const start = cursor === undefined ? 0 : Number(cursor);
  const end = start + size;
  const next = end < entries.length ? `,"nextCursor":"${end}"` : "";
  return `{"${member}":[${entries.slice(start, end).join(",")}]${next}}`;
}
