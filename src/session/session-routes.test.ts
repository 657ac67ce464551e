import { describe, expect, test } from "vitest";
import { DEFAULT_SETTINGS, type AggregationSettings } from "../aggregation/settings.ts";
import type { Capability, CapabilitySet } from "../domain/capabilities.ts";
import { parseBackendName, type BackendName } from "../domain/ids.ts";
import type { JsonObject } from "../domain/json.ts";
import type { BackendMessage } from "../mcp/exchange.ts";
import {
  DEFAULT_MESSAGE_LIMITS,
  parseInbound,
  type InboundRequest,
} from "../mcp/inbound-message.ts";
import { capabilitySet } from "../../test/support/fake-backends.ts";
import type { BackendStanding } from "./edge-session.ts";
import { SessionRoutes, type Target } from "./session-routes.ts";
import { Views, type View } from "./view.ts";

const A = parseBackendName("a");
const B = parseBackendName("b");

const CALL = { method: "tools/call" };

const OFFER = { tools: ["run"], prompts: ["ask"], resources: ["docs://1"] };

function viewOf(
  sources: Readonly<Record<string, CapabilitySet>>,
  settings: Partial<AggregationSettings> = {},
): View {
  return new Views({ ...DEFAULT_SETTINGS, ...settings }).of(
    Object.entries(sources).map(([name, capabilities]) => ({
      backend: parseBackendName(name),
      capabilities,
    })),
  );
}

/** A request as the client wrote it: params are given as text. */
function request(method: string, params: string): InboundRequest {
  const bytes = Buffer.from(`{"jsonrpc":"2.0","id":1,"method":"${method}","params":${params}}`);
  // The text is a request.
  return parseInbound(bytes, DEFAULT_MESSAGE_LIMITS) as InboundRequest;
}

function read(uri: string): InboundRequest {
  return request("resources/read", JSON.stringify({ uri }));
}

function template(uriTemplate: string): Capability {
  const value = { uriTemplate, name: uriTemplate };
  return { kind: "resourceTemplate", key: uriTemplate, json: JSON.stringify(value), value };
}

function answerOf(result: JsonObject): BackendMessage {
  const message = { jsonrpc: "2.0", id: 1, result } as const;
  return { bytes: Buffer.from(JSON.stringify(message)), message };
}

/** As the session asks, of whose backends none declared anything beyond MCP. */
function route(routes: SessionRoutes, view: View, asked: InboundRequest): Target {
  return routes.target(view, asked, () => []);
}

function standing(name: BackendName, capabilities: JsonObject): BackendStanding {
  const greeting = {
    revision: "2025-11-25",
    capabilities,
    serverInfo: {},
    instructions: undefined,
  };
  return { name, phase: "ready", greeting, failure: undefined };
}

function linkTo(uri: string): JsonObject {
  return { content: [{ type: "resource_link", uri, name: uri }] };
}

function codeOf(action: () => unknown): unknown {
  try {
    action();
    return undefined;
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
}

describe("names", () => {
  test("only the bytes of the name change on the way to its backend", () => {
    const view = viewOf({ a: capabilitySet(OFFER) });
    const call = request(
      "tools/call",
      '{ "arguments":{"name":"a_run","n":1.0,"__proto__":{}}, "name" : "a_\\u0072un" , "x":12345678901234567890}',
    );

    const { backend, bytes } = route(new SessionRoutes(), view, call);

    expect(backend).toBe("a");
    expect(bytes.toString()).toBe(
      call.bytes.toString().replace('"name" : "a_\\u0072un"', '"name" : "run"'),
    );
  });

  test.for<[string, string, string]>([
    ["tools/call", '{"name":"run"}', "capability_not_found"],
    ["tools/call", '{"name":"a_ask"}', "capability_not_found"],
    ["tools/call", '{"name":"__proto__"}', "capability_not_found"],
    ["tools/call", "{}", "invalid_params"],
    ["tools/call", '{"name":7}', "invalid_params"],
    ["tools/call", '{"name":"a_run","arguments":[]}', "invalid_params"],
    ["tools/call", '{"name":"a_run","arguments":null}', "invalid_params"],
    ["prompts/get", '{"name":"a_run"}', "capability_not_found"],
    ["prompts/get", '{"name":"a_ask","arguments":"x"}', "invalid_params"],
    ["resources/read", "{}", "invalid_params"],
    ["resources/subscribe", '{"uri":7}', "invalid_params"],
    ["tools/other", "{}", "method_not_found"],
  ])("%s %s throws %s", ([method, params, code]) => {
    const view = viewOf({ a: capabilitySet(OFFER) });

    expect(codeOf(() => route(new SessionRoutes(), view, request(method, params)))).toBe(code);
  });

  test("a name that was given out stays callable as long as its backend has it", () => {
    const settings = { strategy: "prefixOnConflict" } as const;
    const alone = viewOf({ a: capabilitySet(OFFER) }, settings);
    const both = viewOf({ a: capabilitySet(OFFER), b: capabilitySet(OFFER) }, settings);
    const routes = new SessionRoutes();

    routes.viewChanged(alone, both, () => true);
    const former = route(routes, both, request("tools/call", '{"name":"run"}'));
    routes.viewChanged(both, both, () => false);

    expect(former.backend).toBe("a");
    expect(codeOf(() => route(routes, both, request("tools/call", '{"name":"run"}')))).toBe(
      "capability_not_found",
    );
    expect(
      codeOf(() => route(new SessionRoutes(), both, request("tools/call", '{"name":"run"}'))),
    ).toBe("capability_not_found");
  });
});

describe("URIs", () => {
  const two = {
    a: { ...capabilitySet(OFFER), resourceTemplates: [template("logs://{day}")] },
    b: capabilitySet({ resources: ["docs://2"] }),
  };

  test.for([
    ["docs://1", "a"],
    ["docs://2", "b"],
    ["logs://today", "a"],
  ] as const)("%s is read at its owner, as it is written", ([uri, owner]) => {
    const asked = read(uri);

    const { backend, bytes } = route(new SessionRoutes(), viewOf(two), asked);

    expect(backend).toBe(owner);
    expect(bytes).toBe(asked.bytes);
  });

  test("one that nobody lists is unknown while several backends have resources", () => {
    expect(codeOf(() => route(new SessionRoutes(), viewOf(two), read("docs://3")))).toBe(
      "capability_not_found",
    );
  });

  test("one that nobody lists belongs to the only backend that has resources", () => {
    const view = viewOf({ a: capabilitySet(OFFER), b: capabilitySet({ tools: ["t"] }) });

    expect(route(new SessionRoutes(), view, read("docs://3")).backend).toBe("a");
  });

  test.for<[string, JsonObject]>([
    ["a link", linkTo("seen://1")],
    [
      "an embedded resource",
      { content: [{ type: "resource", resource: { uri: "seen://1", text: "" } }] },
    ],
  ])("one that was seen as %s in a result is read where it came from", ([, result]) => {
    const routes = new SessionRoutes();
    routes.noteResult(B, CALL, result);

    expect(route(routes, viewOf(two), read("seen://1")).backend).toBe("b");
  });

  test.for<[string, JsonObject | undefined]>([
    ["no result", undefined],
    ["content that is no list", { content: "x" }],
    ["blocks of other kinds", { content: [null, 7, { type: "text", uri: "seen://1" }] }],
    ["a URI that is no text", { content: [{ type: "resource_link", uri: 7 }] }],
    ["a resource that is no object", { content: [{ type: "resource", resource: "seen://1" }] }],
  ])("nothing is learned from %s", ([, result]) => {
    const routes = new SessionRoutes();
    routes.noteResult(B, CALL, result);

    expect(codeOf(() => route(routes, viewOf(two), read("seen://1")))).toBe("capability_not_found");
  });

  test("one of more than 8 KiB is not remembered, so that a thousand of them stay small", () => {
    const routes = new SessionRoutes();
    const [fits, tooLong] = [8_192, 8_193].map((length) => "seen://".padEnd(length, "x"));
    for (const uri of [fits, tooLong]) routes.noteResult(B, CALL, linkTo(uri ?? ""));

    expect(route(routes, viewOf(two), read(fits ?? "")).backend).toBe("b");
    expect(codeOf(() => route(routes, viewOf(two), read(tooLong ?? "")))).toBe(
      "capability_not_found",
    );
  });

  test("of more than a thousand seen, the one seen longest ago is forgotten", () => {
    const routes = new SessionRoutes();
    for (let n = 0; n < 1_000; n += 1) routes.noteResult(B, CALL, linkTo(`seen://${n}`));
    routes.noteResult(B, CALL, linkTo("seen://0"));

    routes.noteResult(B, CALL, linkTo("seen://1000"));

    expect(codeOf(() => route(routes, viewOf(two), read("seen://1")))).toBe("capability_not_found");
    for (const uri of ["seen://0", "seen://2", "seen://1000"]) {
      expect(route(routes, viewOf(two), read(uri)).backend).toBe("b");
    }
  });
});

describe("URIs that the configuration hides answer like unknown ones", () => {
  const offer = { ...OFFER, resources: ["docs://1", "docs://hidden"] };
  const sources = { a: capabilitySet(offer) };
  const filtered = {
    resources: [{ workload: "a", filter: ["docs://1"], overrides: {}, excludeAll: false }],
  };

  test.for(["docs://hidden", "docs://never-listed"])(
    "%s is not read at the only backend with resources",
    (uri) => {
      const view = viewOf(sources, filtered);

      expect(codeOf(() => route(new SessionRoutes(), view, read(uri)))).toBe(
        "capability_not_found",
      );
    },
  );

  test("not even after a result showed it", () => {
    const routes = new SessionRoutes();
    routes.noteResult(A, CALL, linkTo("docs://hidden"));

    expect(codeOf(() => route(routes, viewOf(sources, filtered), read("docs://hidden")))).toBe(
      "capability_not_found",
    );
    expect(route(routes, viewOf(sources), read("docs://hidden")).backend).toBe("a");
  });

  test("the answer says the same of both", () => {
    const view = viewOf(sources, filtered);
    const messages = ["docs://hidden", "docs://unknown"].map((uri) => {
      try {
        return route(new SessionRoutes(), view, read(uri)).backend;
      } catch (error) {
        return (error as Error).message.replace(uri, "URI");
      }
    });

    expect(messages[0]).toBe(messages[1]);
  });

  test("all of a backend may be hidden, and its unlisted URIs with them", () => {
    const hideAll = { resources: [{ workload: "a", overrides: {}, excludeAll: true }] };
    const routes = new SessionRoutes();
    routes.noteResult(A, CALL, linkTo("docs://1"));

    expect(codeOf(() => route(routes, viewOf(sources, hideAll), read("docs://1")))).toBe(
      "capability_not_found",
    );
  });

  test("what a pattern allows may be read unlisted", () => {
    const allowed = {
      resources: [{ workload: "a", filter: ["docs://*"], overrides: {}, excludeAll: false }],
    };

    expect(route(new SessionRoutes(), viewOf(sources, allowed), read("docs://9")).backend).toBe(
      "a",
    );
    expect(
      codeOf(() => route(new SessionRoutes(), viewOf(sources, allowed), read("other://9"))),
    ).toBe("capability_not_found");
  });
});

describe("what is used", () => {
  const sources = {
    a: { ...capabilitySet(OFFER), resourceTemplates: [template("logs://{day}")] },
    b: capabilitySet({ tools: ["run"] }),
  };

  test.for<[string, object, string]>([
    ["tools/call", { name: "a_run" }, "tool a_run"],
    ["prompts/get", { name: "a_ask" }, "prompt a_ask"],
    ["resources/read", { uri: "docs://1" }, "resource docs://1"],
    ["resources/read", { uri: "logs://today" }, "resource logs://today"],
    ["resources/subscribe", { uri: "docs://1" }, "resource docs://1"],
    ["resources/read", { uri: "unlisted://9" }, "resource unlisted://9"],
    ["completion/complete", { ref: { type: "ref/prompt", name: "a_ask" } }, "prompt a_ask"],
    [
      "completion/complete",
      { ref: { type: "ref/resource", uri: "logs://{day}" } },
      "resourceTemplate logs://{day}",
    ],
    [
      "completion/complete",
      { ref: { type: "ref/resource", uri: "logs://today" } },
      "resource logs://today",
    ],
  ])("by %s with %j is %s", ([method, params, expected]) => {
    const asked = request(method, JSON.stringify(params));

    const { backend, used } = route(new SessionRoutes(), viewOf(sources), asked);

    expect(`${used?.kind} ${used?.advertisedName}`).toBe(expected);
    expect(used?.backend).toBe(backend);
  });

  test("under a name of earlier is what has another name now", () => {
    const routes = new SessionRoutes();
    const before = viewOf(sources, { prefixFormat: "old_{workload}_" });
    const after = viewOf(sources, { prefixFormat: "new_{workload}_" });
    routes.viewChanged(before, after, () => true);

    const target = route(routes, after, request("tools/call", '{"name":"old_a_run"}'));

    expect(target.used?.advertisedName).toBe("new_a_run");
    expect(target.bytes.toString()).toContain('"name":"run"');
  });
});

describe("completion", () => {
  const sources = {
    a: { ...capabilitySet(OFFER), resourceTemplates: [template("logs://{day}")] },
    b: capabilitySet({ prompts: ["ask"] }),
  };

  test("of a prompt goes to its owner under the name that it has there", () => {
    const asked = request(
      "completion/complete",
      '{"argument":{"name":"b_ask","value":"1"},"ref":{"type":"ref/prompt", "name" : "b_ask"}}',
    );

    const { backend, bytes } = route(new SessionRoutes(), viewOf(sources), asked);

    expect(backend).toBe("b");
    expect(bytes.toString()).toBe(
      asked.bytes.toString().replace('"name" : "b_ask"', '"name" : "ask"'),
    );
  });

  test.for(["logs://{day}", "logs://today", "docs://1"])(
    "of %s goes to its owner unchanged",
    (uri) => {
      const asked = request(
        "completion/complete",
        JSON.stringify({ ref: { type: "ref/resource", uri } }),
      );

      const { backend, bytes } = route(new SessionRoutes(), viewOf(sources), asked);

      expect(backend).toBe("a");
      expect(bytes).toBe(asked.bytes);
    },
  );

  test.for<[string, string]>([
    ["{}", "invalid_params"],
    ['{"ref":"b_ask"}', "invalid_params"],
    ['{"ref":{"type":"ref/prompt","name":"ask"}}', "capability_not_found"],
    ['{"ref":{"type":"ref/prompt","name":{}}}', "capability_not_found"],
    ['{"ref":{"type":"ref/resource","uri":"other://1"}}', "capability_not_found"],
    ['{"ref":{"type":"ref/prompt","name":"secret","uri":"docs://1"}}', "capability_not_found"],
    ['{"ref":{"uri":"docs://1"}}', "capability_not_found"],
    ['{"ref":{"type":"ref/prompt","name":"secret","name":"b_ask"}}', "invalid_params"],
    ['{"ref":{"type":"ref/prompt","name":"b_ask","Name":"secret"}}', "invalid_params"],
  ])("%s throws %s", ([params, code]) => {
    const asked = request("completion/complete", params);

    expect(codeOf(() => route(new SessionRoutes(), viewOf(sources), asked))).toBe(code);
  });
});

describe("tasks and methods beyond MCP", () => {
  const view = viewOf({ a: capabilitySet(OFFER) });

  test.for(["tasks/get", "tasks/result", "tasks/cancel"])(
    "%s goes to the backend that made the task",
    (method) => {
      const routes = new SessionRoutes();
      routes.tasks.answerForClient(B, "tools/call", answerOf({ task: { taskId: "t1" } }));
      routes.tasks.answerForClient(A, "tasks/list", answerOf({ tasks: [{ taskId: "t2" }] }));

      expect(route(routes, view, request(method, '{"taskId":"t1"}')).backend).toBe("b");
      expect(route(routes, view, request(method, '{"taskId":"t2"}')).backend).toBe("a");
      expect(codeOf(() => route(routes, view, request(method, '{"taskId":"t3"}')))).toBe(
        "capability_not_found",
      );
      expect(codeOf(() => route(routes, view, request(method, "{}")))).toBe("invalid_params");
    },
  );

  test("a task belongs to the tool whose call it was, even where the task is heard of first", () => {
    const routes = new SessionRoutes();
    const both = viewOf({ a: capabilitySet(OFFER), b: capabilitySet(OFFER) });
    const usedBy = (taskId: string): string | undefined =>
      route(routes, both, request("tasks/get", JSON.stringify({ taskId }))).used?.advertisedName;
    const created = answerOf({ task: { taskId: "t1" } });
    routes.tasks.answerForClient(A, "tools/call", created, "run");
    routes.tasks.answerForClient(B, "tasks/list", answerOf({ tasks: [{ taskId: "t2" }] }));
    const before = usedBy("t2");
    routes.tasks.answerForClient(B, "tools/call", answerOf({ task: { taskId: "t2" } }), "run");
    routes.tasks.answerForClient(B, "tools/call", answerOf({ task: { taskId: "t3" } }), "gone");

    expect([usedBy("t1"), before, usedBy("t2"), usedBy("t3")]).toEqual([
      "a_run",
      undefined,
      "b_run",
      undefined,
    ]);
  });

  test("the token of a call that became a task is good for that backend only", () => {
    const routes = new SessionRoutes();
    routes.noteResult(B, { ...CALL, progressToken: "t" }, { task: { taskId: "t1" } });
    routes.noteResult(B, { ...CALL, progressToken: "u" }, { content: [] });

    expect(routes.tasks.hasToken(B, "t")).toBe(true);
    expect(routes.tasks.hasToken(A, "t")).toBe(false);
    expect(routes.tasks.hasToken(B, "u")).toBe(false);
  });

  test("a request for a task with a tag goes out under the id of its backend, and no other byte changes", () => {
    const routes = new SessionRoutes();
    for (const backend of [A, B]) {
      routes.tasks.answerForClient(backend, "tasks/list", answerOf({ tasks: [{ taskId: "1" }] }));
    }
    const asked = request("tasks/get", '{ "taskId" : "1~b", "big": 12345678901234567890 }');

    const { backend, bytes } = route(routes, view, asked);

    expect(backend).toBe("b");
    expect(bytes.toString()).toBe(asked.bytes.toString().replace("1~b", "1"));
  });

  test.for<[string, JsonObject, JsonObject, string | undefined]>([
    ["x/y", { experimental: { x: {} } }, {}, "a"],
    ["x/y", { experimental: { x: {} } }, { experimental: { z: {} } }, undefined],
    ["x/y", { experimental: {} }, {}, undefined],
    ["x/y", {}, {}, undefined],
    ["tasks/list", { tasks: { list: {} } }, { experimental: { x: {} } }, "a"],
    ["rpc.discover", { experimental: { x: {} } }, {}, undefined],
    ["roots/list", { experimental: { x: {} } }, {}, undefined],
    ["notifications/x", { experimental: { x: {} } }, {}, undefined],
    ["", { experimental: { x: {} } }, {}, undefined],
  ])("%j with backends that declare %j and %j goes to %s", ([method, ofA, ofB, owner]) => {
    const standings = [standing(A, ofA), standing(B, ofB)];
    const find = () =>
      new SessionRoutes().target(view, request(method, "{}"), () => standings).backend;

    expect(owner === undefined ? codeOf(find) : find()).toBe(owner ?? "method_not_found");
  });
});
