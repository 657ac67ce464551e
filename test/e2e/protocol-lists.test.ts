import { describe, expect, test } from "vitest";
import { isJsonObject, type JsonObject } from "../../src/domain/json.ts";
import { startGateway } from "../support/gateway.ts";
import type { LedgerScript } from "../support/ledger-script.ts";
import { waitFor } from "../support/quiescence.ts";
import { lastMessage, openRawSession, type RawSession } from "../support/raw-client.ts";
import {
  BACKENDS,
  backendSessionOf,
  callText,
  messagesOn,
  methodsAt,
  methodsOn,
  startHttp,
  toolCall,
} from "./protocol-backends.ts";

/** One kind of thing that backends list, and how a script offers some of it by name. */
interface ListKind {
  readonly method: string;
  readonly notification: string;
  readonly member: string;
  readonly key: string;
  readonly offer: (names: readonly string[]) => Partial<LedgerScript>;
}

const entries = (key: string, names: readonly string[]): readonly string[] =>
  names.map((name) => JSON.stringify({ [key]: name, name, inputSchema: { type: "object" } }));

const KINDS: readonly ListKind[] = [
  {
    method: "tools/list",
    notification: "notifications/tools/list_changed",
    member: "tools",
    key: "name",
    offer: (names) => ({ tools: entries("name", names), results: resultsOf(names) }),
  },
  {
    method: "prompts/list",
    notification: "notifications/prompts/list_changed",
    member: "prompts",
    key: "name",
    offer: (names) => ({ prompts: entries("name", names) }),
  },
  {
    method: "resources/list",
    notification: "notifications/resources/list_changed",
    member: "resources",
    key: "uri",
    offer: (names) => ({ resources: entries("uri", names) }),
  },
  {
    method: "resources/templates/list",
    notification: "notifications/resources/list_changed",
    member: "resourceTemplates",
    key: "uriTemplate",
    offer: (names) => ({ resourceTemplates: entries("uriTemplate", names) }),
  },
];

const ALL_LISTS: JsonObject = {
  tools: { listChanged: true },
  prompts: { listChanged: true },
  resources: { listChanged: true },
};

describe.each(BACKENDS)("with a backend over %s", (_transport, startBackend) => {
  // [spec:tools-2] [spec:resources-2] [spec:prompts-2]
  test.for(KINDS)(
    "$method: what is added and removed is told and listed, and the other backend is left alone [B6] [A13]",
    async ({ method, notification, member, key, offer }) => {
      await using backend = await startBackend({
        hasBuiltInTools: false,
        capabilities: ALL_LISTS,
        ...offer(["x://stays", "x://goes"]),
      });
      await using other = await startBackend({ name: "other", tools: entries("name", ["aside"]) });
      await using gateway = await startGateway({
        backends: [backend.entry(), other.entry("other")],
      });
      const session = await openRawSession(gateway.url);
      const stream = await session.openStream();
      await backend.canSpeakTo(1);
      const others = await backendSessionOf(other, session);
      const before = await listed(session, method, member, key);
      const asked = methodsAt(other, others).length;

      backend.backend.change(offer(["x://stays", "x://comes"]));
      backend.backend.notify(notification);

      await waitFor(() => methodsOn(stream).includes(notification));
      const after = await listed(session, method, member, key);
      const own = (names: readonly unknown[]): readonly unknown[] =>
        names.flatMap((name) => /stays|goes|comes/.exec(String(name))?.[0] ?? []);
      expect(own(before)).toEqual(["stays", "goes"]);
      expect(own(after)).toEqual(["stays", "comes"]);
      expect(methodsOn(stream)).toEqual([notification]);
      expect(methodsAt(other, others).slice(asked)).toEqual([]);
      stream.destroy();
    },
  );

  test("a tool that was added can be called, and one that was removed is unknown [B6]", async () => {
    await using backend = await startBackend(toolScript(["old"]));
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);
    const stream = await session.openStream();
    await backend.canSpeakTo(1);

    backend.backend.change(toolScript(["new"]));
    backend.backend.notify("notifications/tools/list_changed");
    await waitFor(() => methodsOn(stream).includes("notifications/tools/list_changed"));

    expect(await callText(session, "new")).toBe("new");
    expect(lastMessage(await session.post(toolCall(9, "old")))).toMatchObject({
      error: { code: -32_602 },
    });
    stream.destroy();
  });

  test("a list that changes for one session says nothing to another [B6]", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const alice = await openRawSession(gateway.url);
    const bob = await openRawSession(gateway.url);
    const [toAlice, toBob] = [await alice.openStream(), await bob.openStream()];
    backend.backend.change({ tools: entries("name", ["for-alice"]) });

    await alice.post(toolCall(1, "emit", { method: "notifications/tools/list_changed" }));

    await waitFor(() => methodsOn(toAlice).includes("notifications/tools/list_changed"));
    expect(await listed(alice, "tools/list", "tools", "name")).toContain("for-alice");
    expect(await listed(bob, "tools/list", "tools", "name")).not.toContain("for-alice");
    expect(messagesOn(toBob)).toEqual([]);
    toAlice.destroy();
    toBob.destroy();
  });

  test("a list that did not change is not announced", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);
    const stream = await session.openStream();
    await backend.canSpeakTo(1);
    const own = await backendSessionOf(backend, session);
    const asked = methodsAt(backend, own).filter((method) => method === "tools/list").length;

    backend.backend.notify("notifications/tools/list_changed");

    await waitFor(
      () => methodsAt(backend, own).filter((method) => method === "tools/list").length > asked,
    );
    await callText(session, "count");
    expect(messagesOn(stream)).toEqual([]);
    stream.destroy();
  });

  // [spec:pagination-1] [spec:pagination-4] [spec:pagination-5] [spec:prompts-5]
  test.for([undefined, 1, 2, 100])(
    "every page of a backend is read, %s entries to a page",
    async (pageSize) => {
      const names = ["x://a", "x://b", "x://c", "x://d", "x://e"];
      await using backend = await startBackend({
        hasBuiltInTools: false,
        capabilities: ALL_LISTS,
        pageSize,
        tools: entries("name", names),
        prompts: entries("name", names),
        resources: entries("uri", names),
        resourceTemplates: entries("uriTemplate", names),
      });
      await using gateway = await startGateway({ backends: [backend.entry()] });
      const session = await openRawSession(gateway.url);

      const counts = [];
      for (const { method, member, key } of KINDS)
        counts.push((await listed(session, method, member, key)).length);

      expect(counts).toEqual([5, 5, 5, 5]);
    },
  );

  // [spec:lifecycle-14] [spec:prompts-6]
  test("a backend is not asked for lists that it did not declare, nor for a log level", async () => {
    await using backend = await startBackend({ capabilities: { tools: {} } });
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);

    await session.request("logging/setLevel", { level: "error" });
    for (const { method } of KINDS) await session.request(method);
    await callText(session, "count");

    const asked = new Set(backend.backend.ledger.messages.map(({ method }) => method));
    // Which revisions it speaks is asked before anything is known of it.
    asked.delete("server/discover");
    expect(asked).toEqual(
      new Set(["initialize", "notifications/initialized", "tools/list", "tools/call"]),
    );
  });
});

// [spec:pagination-5]
test("cursors go back to the backend as they came, however odd, and the empty one is no end", async () => {
  const pages: readonly [string | undefined, string | undefined][] = [
    [undefined, ""],
    ["", ' {"page":3} ☃ '],
    [' {"page":3} ☃ ', "0"],
    ["0", undefined],
  ];
  await using backend = await startHttp();
  backend.backend.interceptWith((_request, body, response) => {
    const message: unknown = body === "" ? {} : JSON.parse(body);
    if (!isJsonObject(message) || message["method"] !== "tools/list") return false;
    const params = isJsonObject(message["params"]) ? message["params"] : {};
    const index = pages.findIndex(([cursor]) => cursor === params["cursor"]);
    const tools = [{ name: `page-${index}`, inputSchema: { type: "object" } }];
    const next = pages[index]?.[1];
    const result = { tools, ...(next !== undefined && { nextCursor: next }) };
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ jsonrpc: "2.0", id: message["id"] ?? null, result }));
    return true;
  });
  await using gateway = await startGateway({ backends: [backend.entry()] });
  const session = await openRawSession(gateway.url);

  const names = await listed(session, "tools/list", "tools", "name");

  expect(names).toEqual(["page-0", "page-1", "page-2", "page-3"]);
});

// [spec:pagination-3]
test.for(["made-up", "", 7, null, { nested: true }])(
  "the cursor %j, which no page gave out, is refused",
  async (cursor) => {
    await using backend = await startHttp();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);

    const answers = [];
    for (const { method } of KINDS) answers.push(await session.request(method, { cursor }));

    expect(answers).toMatchObject(KINDS.map(() => ({ error: { code: -32_602 } })));
  },
);

// [spec:pagination-2]
test("a client reads a list of many pages by its cursors, each as often as it likes", async () => {
  const names = Array.from({ length: 2_500 }, (_value, index) => `x://${index}`);
  await using backend = await startHttp({ resources: entries("uri", names) });
  await using gateway = await startGateway({ backends: [backend.entry()] });
  const session = await openRawSession(gateway.url);
  const read = async (cursor: string | undefined): Promise<Page> =>
    // What a list method answers.
    (
      (await session.request("resources/list", cursor === undefined ? {} : { cursor })) as {
        result: Page;
      }
    ).result;

  const found: unknown[] = [];
  let page = await read(undefined);
  let repeated: Page | undefined;
  while (page.nextCursor !== undefined) {
    found.push(...page.resources.map(({ uri }) => uri));
    repeated = await read(page.nextCursor);
    page = await read(page.nextCursor);
  }
  found.push(...page.resources.map(({ uri }) => uri));

  expect(found).toEqual(names);
  expect(repeated).toEqual(page);
});

interface Page {
  readonly resources: readonly { readonly uri: string }[];
  readonly nextCursor?: string;
}

async function listed(
  session: RawSession,
  method: string,
  member: string,
  key: string,
): Promise<readonly unknown[]> {
  // What a list method answers.
  const { result } = (await session.request(method)) as { result: Record<string, JsonObject[]> };
  return (result[member] ?? []).map((entry) => entry[key]);
}

function resultsOf(names: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    names.map((name) => [name, JSON.stringify({ content: [{ type: "text", text: name }] })]),
  );
}

function toolScript(names: readonly string[]): Partial<LedgerScript> {
  return {
    hasBuiltInTools: false,
    capabilities: ALL_LISTS,
    tools: entries("name", names),
    results: resultsOf(names),
  };
}
