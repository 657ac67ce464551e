import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/domain/json.ts";
import { startHttpLedger } from "../support/ledger-backend.ts";
import { lastMessage, openRawSession, sendRaw, type RawSession } from "../support/raw-client.ts";
import { ask, listOf, postCall, startKnobs, toolNamesOf } from "./knobs/knob-gateway.ts";
import {
  PERMIT_ALL,
  ADMIN_ONLY,
  DENIED,
  UNKNOWN,
  script,
  startPoliced,
  openAs,
  post,
  verified,
} from "./policy-rig.ts";

describe("lists", () => {
  test("show each client what its calls allow, whoever listed before [auth A15]", async () => {
    await using backend = await startHttpLedger(script());
    await using gateway = await startPoliced(backend, [PERMIT_ALL, ADMIN_ONLY]);
    const [alice, bob] = [await openAs(gateway, "alice"), await openAs(gateway, "bob")];

    expect(await toolNamesOf(alice)).toEqual(["read", "drop"]);
    expect(await toolNamesOf(bob)).toEqual(["read"]);
    expect(await toolNamesOf(alice)).toEqual(["read", "drop"]);
    expect((await postCall(alice, "drop")).status).toBe(200);
    expect(await postCall(bob, "drop")).toMatchObject(UNKNOWN);
    expect(backend.ledger.calls.map(({ tool }) => tool)).toEqual(["drop"]);
  });

  test("of prompts, resources and templates are made by the same decisions [auth A19]", async () => {
    await using backend = await startHttpLedger(script());
    await using gateway = await startPoliced(backend, [
      'permit(principal, action == Action::"get_prompt", resource == Prompt::"greet");',
      'permit(principal, action == Action::"read_resource", resource == Resource::"docs___open");',
      'permit(principal == Client::"alice", action, resource) when { resource.name like "notes://*" };',
    ]);
    const [alice, bob] = [await openAs(gateway, "alice"), await openAs(gateway, "bob")];
    const seen = async (session: RawSession): Promise<unknown> => ({
      tools: await toolNamesOf(session),
      prompts: (await listOf(session, "prompts/list", "prompts")).map(({ name }) => name),
      resources: (await listOf(session, "resources/list", "resources")).map(({ uri }) => uri),
      templates: (await listOf(session, "resources/templates/list", "resourceTemplates")).map(
        ({ uriTemplate }) => uriTemplate,
      ),
    });

    expect(await seen(alice)).toEqual({
      tools: [],
      prompts: ["greet"],
      resources: ["docs://open"],
      templates: ["notes://{id}"],
    });
    expect(await seen(bob)).toEqual({
      tools: [],
      prompts: ["greet"],
      resources: ["docs://open"],
      templates: [],
    });
  });

  test("are the same bytes for all who may use the same", async () => {
    await using backend = await startHttpLedger(script());
    await using gateway = await startPoliced(backend, [
      PERMIT_ALL,
      'forbid(principal, action, resource == Tool::"drop");',
    ]);
    const alice = await gateway.vmcp.openSession(verified("alice"));
    const bob = await gateway.vmcp.openSession(verified("bob"));

    expect(alice.list("tools")).toBe(bob.list("tools"));
    expect(alice.tools.map(({ name }) => name)).toEqual(["read"]);
  });
});

describe("a denied use", () => {
  test.for<readonly [string, string, JsonObject]>([
    ["prompts/get", "Prompt", { name: "insult" }],
    ["resources/read", "Resource", { uri: "docs://shut" }],
    ["resources/read of a template", "Resource", { uri: "notes://1" }],
    ["resources/subscribe", "Resource", { uri: "docs://shut" }],
    ["resources/unsubscribe", "Resource", { uri: "docs://shut" }],
    [
      "completion/complete of a prompt",
      "Prompt",
      { ref: { type: "ref/prompt", name: "insult" }, argument: { name: "a", value: "" } },
    ],
    [
      "completion/complete of a template",
      "Resource",
      { ref: { type: "ref/resource", uri: "notes://{id}" }, argument: { name: "id", value: "" } },
    ],
    [
      "completion/complete of a resource of a template",
      "Resource",
      { ref: { type: "ref/resource", uri: "notes://2" }, argument: { name: "id", value: "" } },
    ],
  ])("by %s is refused before the backend hears of it [auth A19]", async ([what, type, params]) => {
    await using backend = await startHttpLedger(script());
    await using gateway = await startPoliced(backend, [
      PERMIT_ALL,
      `forbid(principal, action, resource is ${type}) when { resource.name like "*insult*" || resource.name like "*shut*" || resource.name like "notes*" };`,
    ]);
    const bob = await openAs(gateway, "bob");
    const method = what.replace(/ .*/, "");

    expect(await post(bob, method, params)).toMatchObject(UNKNOWN);
    expect(backend.ledger.messages.filter((message) => message.method === method)).toEqual([]);
  });

  test.for<readonly [string, readonly string[], string, JsonObject, object]>([
    [
      "by an argument",
      [
        PERMIT_ALL,
        'forbid(principal, action, resource) when { context has arg_path && context.arg_path like "/etc/*" };',
      ],
      "read",
      { path: "/etc/shadow" },
      DENIED,
    ],
    [
      "by a group",
      ['permit(principal in THVGroup::"admins", action, resource);'],
      "read",
      {},
      UNKNOWN,
    ],
    [
      "by its backend",
      [PERMIT_ALL, 'forbid(principal, action, resource in Backend::"b1");'],
      "read",
      {},
      UNKNOWN,
    ],
    [
      "by a hint",
      [
        "permit(principal, action, resource) when { resource has readOnlyHint && resource.readOnlyHint };",
      ],
      "drop",
      {},
      UNKNOWN,
    ],
    [
      "by a policy that fails",
      [PERMIT_ALL, "forbid(principal, action, resource) when { principal.claim_sub < 3 };"],
      "read",
      {},
      UNKNOWN,
    ],
    [
      "for a missing attribute",
      ["permit(principal, action, resource) when { principal.claim_level > 3 };"],
      "read",
      {},
      UNKNOWN,
    ],
    [
      "for a missing argument",
      ["permit(principal, action, resource) when { context.arg_mode == 1 };"],
      "read",
      {},
      DENIED,
    ],
  ])(
    "%s runs nothing, and tells of the tool only whoever may call it [auth A16]",
    async ([_how, policies, name, args, answer]) => {
      await using backend = await startHttpLedger(script());
      await using gateway = await startPoliced(backend, policies);
      const bob = await openAs(gateway, "bob");

      expect(await postCall(bob, name, args)).toMatchObject(answer);
      expect(backend.ledger.calls).toEqual([]);
    },
  );

  test.for<readonly [string, JsonObject, JsonObject]>([
    ["tools/call", { name: "drop" }, { name: "nope" }],
    ["prompts/get", { name: "insult" }, { name: "nope" }],
    [
      "completion/complete",
      { ref: { type: "ref/prompt", name: "insult" }, argument: { name: "a", value: "" } },
      { ref: { type: "ref/prompt", name: "nope" }, argument: { name: "a", value: "" } },
    ],
  ])(
    "of a name by %s reads like that of a name that nobody offers",
    async ([method, denied, absent]) => {
      await using backend = await startHttpLedger(script());
      await using gateway = await startPoliced(backend, [
        'permit(principal, action, resource == Tool::"read");',
      ]);
      const bob = await openAs(gateway, "bob");

      const [first, second] = [await post(bob, method, denied), await post(bob, method, absent)];

      const text = JSON.stringify({ ...first.answer, id: 0 }).replace(/drop|insult/, "nope");
      expect(first.status).toBe(second.status);
      expect(text).toBe(JSON.stringify({ ...second.answer, id: 0 }));
    },
  );

  test("with other arguments of the same tool is allowed, and the tool is listed", async () => {
    await using backend = await startHttpLedger(script());
    await using gateway = await startPoliced(backend, [
      'permit(principal, action == Action::"call_tool", resource == Tool::"read") when { context.arg_path like "/pub/*" };',
    ]);
    const bob = await openAs(gateway, "bob");

    expect(await toolNamesOf(bob)).toEqual(["read"]);
    expect(await postCall(bob, "read", { path: "/etc/x" })).toMatchObject(DENIED);
    expect((await postCall(bob, "read", { path: "/pub/x" })).status).toBe(200);
  });

  test("by an argument is denied however large the others are", async () => {
    await using backend = await startHttpLedger(script());
    await using gateway = await startPoliced(backend, [
      PERMIT_ALL,
      'forbid(principal, action, resource) when { context has arg_path && context.arg_path like "/etc/*" };',
    ]);
    const bob = await openAs(gateway, "bob");
    const pad = "x".repeat(512 * 1024);

    expect(await postCall(bob, "read", { pad, path: "/etc/x" })).toMatchObject(DENIED);
    expect((await postCall(bob, "read", { pad, path: "/tmp/x" })).status).toBe(200);
    expect(backend.ledger.calls).toHaveLength(1);
  });

  test("cannot be had by an argument that stands twice", async () => {
    await using backend = await startHttpLedger(script());
    await using gateway = await startPoliced(backend, [
      'permit(principal, action, resource) when { context.arg_path like "/pub/*" };',
    ]);
    const bob = await openAs(gateway, "bob");
    const twice = '{"path":"/etc/x","Path":"/etc/x","path":"/pub/x"}';

    const posted = await bob.post(
      `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","arguments":${twice}}}`,
    );

    expect(lastMessage(posted)).toMatchObject({ error: { code: -32_602 } });
    expect(backend.ledger.calls).toEqual([]);
  });

  test("of what the configuration hides is as unknown as any name, whatever the policy permits [auth A17]", async () => {
    await using backend = await startHttpLedger(script());
    await using gateway = await startPoliced(backend, [PERMIT_ALL], {
      aggregation: { tools: [{ workload: "b1", filter: ["read"] }] },
    });
    const bob = await openAs(gateway, "bob");

    const [hidden, unknown] = [await postCall(bob, "drop"), await postCall(bob, "nope")];

    expect(hidden).toMatchObject({ status: 200, answer: { error: { code: -32_602 } } });
    expect(hidden.answer.error?.message.replace("drop", "nope")).toBe(
      unknown.answer.error?.message,
    );
    expect(backend.ledger.calls).toEqual([]);
  });

  test("by a method that MCP does not name cannot be spoken of by a policy", async () => {
    await using backend = await startHttpLedger(
      script({ capabilities: { tools: {}, experimental: { vendor: { x: 1 } } } }),
    );
    await using gateway = await startPoliced(backend, [PERMIT_ALL]);
    const bob = await openAs(gateway, "bob");

    expect(await post(bob, "vendor/anything", {})).toMatchObject(DENIED);
  });
});

describe("who asks now", () => {
  test("is who counts: a proof with fewer groups takes effect with the next request [auth A10]", async () => {
    await using backend = await startHttpLedger(script());
    await using gateway = await startPoliced(backend, [
      'permit(principal in THVGroup::"admins", action, resource);',
    ]);
    const session = await gateway.vmcp.openSession(verified("alice", ["admins"]));
    await session.callTool("drop", {});

    session.identify?.(verified("alice"));

    await expect(session.callTool("drop", {})).rejects.toMatchObject({
      code: "capability_not_found",
    });
    expect(session.tools).toEqual([]);
    expect(JSON.parse(session.list("tools").toString())).toEqual({ tools: [] });
  });
});

describe("without policies", () => {
  test("everyone may do everything: type none says so", async () => {
    await using backend = await startHttpLedger(script());
    await using gateway = await startKnobs({
      backends: [{ name: "b1", url: backend.url }],
      incomingAuth: { type: "anonymous", authz: { type: "none" } },
    });
    const session = await openRawSession(gateway.url);

    expect(await toolNamesOf(session)).toEqual(["read", "drop"]);
    expect((await postCall(session, "drop")).status).toBe(200);
  });

  test("a client whom nobody vouched for is the client anonymous where there are some", async () => {
    await using backend = await startHttpLedger(script());
    await using gateway = await startKnobs({
      backends: [{ name: "b1", url: backend.url }],
      incomingAuth: {
        type: "anonymous",
        authz: {
          type: "cedar",
          policies: ['permit(principal == Client::"anonymous", action, resource == Tool::"read");'],
        },
      },
    });
    const session = await openRawSession(gateway.url);

    expect(await toolNamesOf(session)).toEqual(["read"]);
    expect((await ask(session, "tools/call", { name: "drop" })).error?.code).toBe(-32_602);
    expect((await sendRaw(new URL("/health", gateway.url).href)).status).toBe(200);
  });
});
