import { expect, test, vi } from "vitest";
import { BACKEND } from "../../test/support/backend/connecting.ts";
import type { JsonObject } from "../domain/json.ts";
import { SILENT_LOGGER, type LogFields } from "../domain/logger.ts";
import type { JsonRpcMessage } from "../mcp/json-rpc.ts";
import type { Ask } from "./ask.ts";
import { fetchCapabilities } from "./capability-lists.ts";
import { toSettings, type BackendLimits, type BackendSettings } from "./options.ts";

const NEVER = new AbortController().signal;

const ALL = { tools: {}, prompts: {}, resources: {} };

function greetingWith(capabilities: JsonObject): Parameters<typeof fetchCapabilities>[1] {
  return { revision: "2025-11-25", capabilities, serverInfo: {}, instructions: undefined };
}

/** Answers each list method with the texts of its pages, by cursor; other methods are not known. */
function askOf(pages: Readonly<Record<string, (cursor: string | undefined) => string>>): Ask {
  return async ({ method, params }) => {
    const cursor = params?.["cursor"];
    const page = pages[method];
    const result = page?.(typeof cursor === "string" ? cursor : undefined);
    const body =
      result === undefined ? '"error":{"code":-32601,"message":"?"}' : `"result":${result}`;
    const text = `{"jsonrpc":"2.0","id":1,${body}}`;
    // The text was written above.
    return { bytes: Buffer.from(text), message: JSON.parse(text) as JsonRpcMessage };
  };
}

function settingsWith(limits: Partial<BackendLimits> = {}, warn?: Warn): BackendSettings {
  const logger = { ...SILENT_LOGGER, ...(warn && { warn }) };
  return toSettings({ name: BACKEND, transport: "stdio", logger, limits });
}

async function hashOf(tools: string): Promise<string> {
  const ask = askOf({ "tools/list": () => `{"tools":${tools}}` });
  return (await fetchCapabilities(ask, greetingWith(ALL), settingsWith(), NEVER)).hash;
}

type Warn = (message: string, fields?: LogFields) => void;

test("each item is kept as the text that the backend wrote", async () => {
  const first = '{ "name":"a","big":123456789012345678901, "é":"\\u00e9" }';
  const second = '{"inputSchema":{"b":1,"a":[{}]},"name":"b\\n"}';
  const ask = askOf({ "tools/list": () => `{"x":"]","tools":[ ${first} ,\n${second}],"y":1}` });

  const { tools } = await fetchCapabilities(ask, greetingWith(ALL), settingsWith(), NEVER);

  expect(tools.map(({ json }) => json)).toEqual([first, second]);
  expect(tools.map(({ key }) => key)).toEqual(["a", "b\n"]);
  expect(tools[1]?.value).toEqual(JSON.parse(second));
});

test("all four lists are fetched over all their pages, the empty cursor included", async () => {
  const cursors: (string | undefined)[] = [];
  const ask = askOf({
    "tools/list": (cursor) => {
      cursors.push(cursor);
      if (cursor === undefined) return '{"tools":[{"name":"a"}],"nextCursor":""}';
      return cursor === "" ? '{"tools":[{"name":"b"}],"nextCursor":"x"}' : '{"tools":[]}';
    },
    "prompts/list": () => '{"prompts":[{"name":"p"}]}',
    "resources/list": () => '{"resources":[{"uri":"u:1","name":"r"}]}',
    "resources/templates/list": () => '{"resourceTemplates":[{"uriTemplate":"u:{x}"}]}',
  });

  const set = await fetchCapabilities(ask, greetingWith(ALL), settingsWith(), NEVER);

  expect(cursors).toEqual([undefined, "", "x"]);
  expect(set.tools.map(({ key, kind }) => [kind, key])).toEqual([
    ["tool", "a"],
    ["tool", "b"],
  ]);
  expect(set.prompts.map(({ key, kind }) => [kind, key])).toEqual([["prompt", "p"]]);
  expect(set.resources.map(({ key, kind }) => [kind, key])).toEqual([["resource", "u:1"]]);
  expect(set.resourceTemplates.map(({ key, kind }) => [kind, key])).toEqual([
    ["resourceTemplate", "u:{x}"],
  ]);
});

test("only what the greeting announces is asked for", async () => {
  const asked: string[] = [];
  const ask: Ask = async (question, signal) => {
    asked.push(question.method);
    return askOf({})(question, signal);
  };

  await fetchCapabilities(ask, greetingWith({ resources: {} }), settingsWith(), NEVER);

  expect(asked).toEqual(["resources/list", "resources/templates/list"]);
});

test("a list that the backend does not know is empty", async () => {
  const set = await fetchCapabilities(askOf({}), greetingWith(ALL), settingsWith(), NEVER);

  expect(set).toMatchObject({ tools: [], prompts: [], resources: [], resourceTemplates: [] });
});

test("any other error of a list fails, and names what failed", async () => {
  const error = { code: -32_000, message: "secret detail" };
  const ask: Ask = async () => {
    return { bytes: Buffer.from("{}"), message: { jsonrpc: "2.0", id: 1, error } };
  };

  const fetching = fetchCapabilities(ask, greetingWith({ tools: {} }), settingsWith(), NEVER);

  await expect(fetching).rejects.toMatchObject({
    code: "backend_protocol",
    message: 'Backend "b1" answered tools/list with error -32000',
  });
});

test.for<readonly [string, string]>([
  ["is no object", '"text"'],
  ["has no name", '{"title":"x"}'],
  ["has an empty name", '{"name":""}'],
  ["has a number for a name", '{"name":5}'],
  ["has a name of 129 characters", `{"name":"${"n".repeat(129)}"}`],
  ["has a name that came before", '{"name":"good","other":true}'],
  ["has a huge description", `{"name":"x","description":"${"d".repeat(17_000)}"}`],
  ["has a huge schema", `{"name":"x","inputSchema":{"d":"${"d".repeat(66_000)}"}}`],
  ["has a huge output schema", `{"name":"x","outputSchema":{"d":"${"d".repeat(66_000)}"}}`],
])("an item that %s is left out, and the list is not", async ([, item]) => {
  const warn = vi.fn<Warn>();
  const ask = askOf({ "tools/list": () => `{"tools":[{"name":"good"},${item},{"name":"last"}]}` });

  const set = await fetchCapabilities(ask, greetingWith(ALL), settingsWith({}, warn), NEVER);

  expect(set.tools.map(({ key }) => key)).toEqual(["good", "last"]);
  expect(warn).toHaveBeenCalledOnce();
  expect(warn.mock.calls[0]?.[1]).toMatchObject({ backend: "b1", method: "tools/list" });
});

test("a large item within its limits is kept", async () => {
  const item = `{"name":"x","description":"${"d".repeat(16_000)}","inputSchema":{"d":"${"d".repeat(60_000)}"}}`;
  const ask = askOf({ "tools/list": () => `{"tools":[${item}]}` });

  const { tools } = await fetchCapabilities(ask, greetingWith(ALL), settingsWith(), NEVER);

  expect(tools).toHaveLength(1);
});

test.for<readonly [string, Partial<BackendLimits>, (page: number) => string | undefined]>([
  ["a cursor repeats", {}, () => "same"],
  ["there are too many pages", { pagesPerList: 2 }, (page) => `c${page}`],
  ["there are too many tools", { toolsPerBackend: 2 }, (page) => `c${page}`],
  ["there are too many bytes", { listBytes: 30 }, (page) => `c${page}`],
])("the list ends with what is there when %s", async ([, limits, cursorAfter]) => {
  const warn = vi.fn<Warn>();
  let page = 0;
  const ask = askOf({
    "tools/list": () => {
      page += 1;
      const nextCursor = JSON.stringify(cursorAfter(page));
      return `{"tools":[{"name":"t${page}"}],"nextCursor":${nextCursor}}`;
    },
  });

  const set = await fetchCapabilities(ask, greetingWith(ALL), settingsWith(limits, warn), NEVER);

  expect(set.tools.map(({ key }) => key)).toEqual(["t1", "t2"]);
  expect(warn).toHaveBeenCalledOnce();
});

test("equal lists have equal hashes, and any difference in their text changes them", async () => {
  const one = await hashOf('[{"name":"a"},{"name":"b"}]');
  const same = await hashOf('[ {"name":"a"} , {"name":"b"} ]');
  const reordered = await hashOf('[{"name":"b"},{"name":"a"}]');
  const respaced = await hashOf('[{"name": "a"},{"name":"b"}]');

  expect(one).toMatch(/^[0-9a-f]{64}$/);
  expect(same).toBe(one);
  expect(new Set([one, reordered, respaced]).size).toBe(3);
});

test("a page without a list counts as an empty page", async () => {
  const ask = askOf({ "tools/list": () => '{"tools":{"a":1}}' });

  const { tools } = await fetchCapabilities(ask, greetingWith(ALL), settingsWith(), NEVER);

  expect(tools).toEqual([]);
});
