import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { fakeBackend } from "../../test/support/fake-backends.ts";
import { CLIENT, createFactory, openSession, PLAIN_NAMES } from "../../test/support/sessions.ts";
import { ANONYMOUS, type Identity } from "../domain/identity.ts";
import type { ConnectOutcome } from "./backend-connection.ts";
import { NO_GUARD } from "./backend-guard.ts";

const ALICE: Identity = { kind: "verified", issuer: "https://issuer.example", subject: "alice" };

const never = async (): Promise<never> => new Promise(() => {});

describe("what a session is made of", () => {
  test("a session exposes what its backends offer [seed 70]", async () => {
    const backend = fakeBackend("files", {
      tools: ["read"],
      prompts: ["summary"],
      resources: ["file:///a"],
    });

    await using session = await openSession([backend]);

    expect(session.tools.map(({ name }) => name)).toEqual(["read"]);
    expect(session.prompts.map(({ name }) => name)).toEqual(["summary"]);
    expect(session.resources.map(({ name }) => name)).toEqual(["file:///a"]);
  });

  test("every session gets an id of its own [seed 71]", async () => {
    const factory = createFactory();

    const sessions = await Promise.all(
      Array.from({ length: 50 }, async () =>
        factory.makeSession(ANONYMOUS, [], { client: CLIENT }),
      ),
    );

    expect(new Set(sessions.map(({ id }) => id)).size).toBe(50);
    await Promise.all(sessions.map(async (session) => session[Symbol.asyncDispose]()));
  });

  test("a session without backends is empty and valid [seed 72]", async () => {
    await using session = await openSession([]);

    expect(session.tools).toEqual([]);
    expect(session.list("tools").toString()).toBe('{"tools":[]}');
  });

  test("absent backends are skipped [seed 73]", async () => {
    await using session = await openSession([
      undefined,
      fakeBackend("b1", { tools: ["x"] }),
      undefined,
    ]);

    expect(session.tools.map(({ name }) => name)).toEqual(["x"]);
  });
});

describe("backends that fail", () => {
  test("one backend that fails leaves the others [seed 74]", async () => {
    const broken = fakeBackend("broken", {
      beforeConnect: async () => {
        throw new Error("connection refused");
      },
    });

    await using session = await openSession([broken, fakeBackend("fine", { tools: ["x"] })]);

    expect(session.tools.map(({ name }) => name)).toEqual(["x"]);
    expect(session.metadata).toEqual({ "vmcp.backend.ids": "fine" });
  });

  const INCOMPLETE: readonly [string, (connected: ConnectOutcome) => ConnectOutcome, number][] = [
    ["nothing at all", () => ({}), 0],
    ["capabilities without a connection", ({ capabilities }) => ({ capabilities }), 0],
    ["a connection without capabilities", ({ connection }) => ({ connection }), 1],
  ];

  test.for(INCOMPLETE)(
    "an attempt that comes to %s is skipped and what it opened is closed [seed 75]",
    async ([, outcome, closed]) => {
      const odd = fakeBackend("odd", { tools: ["y"], outcome });

      await using session = await openSession([odd, fakeBackend("fine", { tools: ["x"] })]);

      expect(session.tools.map(({ name }) => name)).toEqual(["x"]);
      const closedCount = odd.connections.filter(({ isClosed }) => isClosed).length;
      expect(closedCount).toBeGreaterThanOrEqual(closed);
    },
  );

  test("a connection that comes with an error is closed [seed 76]", async () => {
    const odd = fakeBackend("odd", {
      tools: ["y"],
      outcome: (connected) => ({ ...connected, error: new Error("listing failed") }),
    });

    await using session = await openSession([odd]);

    expect(odd.connections.map(({ isClosed }) => isClosed)).toEqual([true]);
    expect(session.tools).toEqual([]);
  });

  test("a name that two backends use goes to the same one each time [seed 77]", async () => {
    const aggregation = {
      ...PLAIN_NAMES,
      strategy: "priority",
      priorityOrder: ["a", "b"],
    } as const;
    const calls: string[] = [];
    const recorded = (name: string) =>
      fakeBackend(name, {
        tools: ["same"],
        answer: async () => {
          calls.push(name);
          return { content: [] };
        },
      });

    for (const order of [
      ["a", "b"],
      ["b", "a"],
    ]) {
      await using session = await openSession(order.map(recorded), { aggregation });
      await session.callTool("same", {});
    }

    expect(calls).toEqual(["a", "a"]);
  });

  test("a session of which every backend failed is empty and valid [seed 78]", async () => {
    const refuse = async () => {
      throw new Error("connection refused");
    };

    await using session = await openSession([
      fakeBackend("b1", { beforeConnect: refuse }),
      fakeBackend("b2", { beforeConnect: refuse }),
    ]);

    expect(session.tools).toEqual([]);
    expect(session.backends().map(({ phase }) => phase)).toEqual(["failed", "failed"]);
  });

  test("a backend slower than the start timeout is missing and a fast one present [seed 79]", async () => {
    const slow = fakeBackend("slow", { tools: ["y"], beforeConnect: never });

    await using session = await openSession([slow, fakeBackend("fast", { tools: ["x"] })], {
      startTimeoutMs: 50,
    });

    expect(session.tools.map(({ name }) => name)).toEqual(["x"]);
    expect(session.backends()[0]?.failure?.message).toContain('Backend "slow"');
  });

  test("a connection that arrives after the start timeout is closed", async () => {
    let arrive = (): void => {};
    const arrived = new Promise<void>((resolve) => {
      arrive = resolve;
    });
    const slow = fakeBackend("slow", { beforeConnect: async () => arrived });
    await using _session = await openSession([slow], { startTimeoutMs: 20 });

    arrive();

    await expect.poll(() => slow.connections[0]?.isClosed).toBe(true);
  });

  test("a session is refused where a backend must not fail and does", async () => {
    const fine = fakeBackend("fine");
    const broken = fakeBackend("broken", {
      beforeConnect: async () => {
        throw new Error("connection refused");
      },
    });

    const opening = openSession([fine, broken], { partialFailure: "fail" });

    await expect(opening).rejects.toMatchObject({ code: "start_failed" });
    expect(fine.connections.map(({ isClosed }) => isClosed)).toEqual([true]);
  });
});

describe("how backends are connected", () => {
  test("no more backends connect at once than allowed [seed 80]", async () => {
    let running = 0;
    let peak = 0;
    const beforeConnect = async () => {
      running += 1;
      peak = Math.max(peak, running);
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
      running -= 1;
    };
    const backends = ["b1", "b2", "b3", "b4", "b5"].map((name) =>
      fakeBackend(name, { tools: [name], beforeConnect }),
    );

    await using session = await openSession(backends, { maxStartConcurrency: 3 });

    expect(peak).toBe(3);
    expect(session.tools).toHaveLength(5);
  });

  test("options that are not above zero mean their defaults [seed 83]", async () => {
    const backend = fakeBackend("b1", { tools: ["x"] });

    await using session = await openSession([backend], {
      maxStartConcurrency: 0,
      startTimeoutMs: -1,
      maxGlobalStartConcurrency: 0,
    });

    expect(session.tools.map(({ name }) => name)).toEqual(["x"]);
  });

  test("aborting gives up and closes what was opened", async () => {
    const abort = new AbortController();
    const fine = fakeBackend("fine");
    const making = createFactory().makeSession(
      ANONYMOUS,
      [fine, fakeBackend("hangs", { beforeConnect: never })],
      { client: CLIENT, signal: abort.signal },
    );
    await expect.poll(() => fine.connections.length).toBe(1);

    abort.abort(new Error("the client left"));

    await expect(making).rejects.toThrow("the client left");
    expect(fine.connections[0]?.isClosed).toBe(true);
  });

  test("a session whose backend is late begins without it and is told when it joins", async () => {
    let release = (): void => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const late = fakeBackend("late", { tools: ["y"], beforeConnect: async () => released });
    const messages: string[] = [];
    await using session = await openSession([late, fakeBackend("fast", { tools: ["x"] })], {
      startDeadlineMs: 30,
    });
    session.notify(INITIALIZED);
    session.attachStream({
      send: (bytes) => messages.push(bytes.toString()) > 0,
      end() {},
    });
    expect(session.tools.map(({ name }) => name)).toEqual(["x"]);

    release();

    await expect.poll(() => messages).toEqual([TOOLS_CHANGED]);
    expect(session.tools.map(({ name }) => name)).toEqual(["x", "y"]);
  });

  test.for([
    { title: "that others like it were greeted by", refusesAtFirst: false },
    { title: "that keeps failing", refusesAtFirst: true },
  ])(
    "a session does not wait for a slow backend $title, and knows what is known [F16] [L10]",
    async ({ refusesAtFirst }) => {
      let isSlow = refusesAtFirst;
      const slow = fakeBackend("slow", {
        tools: ["y"],
        beforeConnect: async (_request, signal) => {
          if (isSlow) await once(signal, "abort");
        },
      });
      const factory = createFactory({
        startDeadlineMs: 1_000_000,
        guardOf: () => ({ ...NO_GUARD, isDoubtful: refusesAtFirst }),
      });
      const backends = [slow, fakeBackend("fast", { tools: ["x"] })];
      await using first = await factory.makeSession(ANONYMOUS, backends, { client: CLIENT });
      isSlow = true;

      await using second = await factory.makeSession(ANONYMOUS, backends, { client: CLIENT });

      const names = second.tools.map(({ name }) => name);
      expect(names).toEqual(first.tools.map(({ name }) => name));
      expect(names).toEqual(refusesAtFirst ? ["x"] : ["x", "y"]);
      const [standing] = second.backends();
      expect(standing).toMatchObject({ name: "slow", phase: "connecting" });
      expect(standing?.greeting !== undefined).toBe(!refusesAtFirst);
    },
  );

  test("a second session of the same kind of client is not listed for again", async () => {
    const factory = createFactory();
    const backend = fakeBackend("b1", { tools: ["x"] });
    await using _first = await factory.makeSession(ANONYMOUS, [backend], { client: CLIENT });

    await using second = await factory.makeSession(ANONYMOUS, [backend], { client: CLIENT });

    expect(backend.connections[0]?.request.knownCapabilities).toBeUndefined();
    expect(backend.connections[1]?.request.knownCapabilities?.tools).toHaveLength(1);
    expect(second.tools).toHaveLength(1);
  });
});

describe("metadata", () => {
  const CASES: readonly [string, Identity, readonly string[], Record<string, string>][] = [
    [
      "names the subject and the backends",
      ALICE,
      ["b2", "b1"],
      { "vmcp.identity.subject": "alice", "vmcp.backend.ids": "b1,b2" },
    ],
    ["has no subject for an anonymous client", ANONYMOUS, ["b1"], { "vmcp.backend.ids": "b1" }],
    [
      "has no subject for an empty one",
      { kind: "verified", issuer: "i", subject: "" },
      ["b1"],
      { "vmcp.backend.ids": "b1" },
    ],
    ["lists backends sorted", ANONYMOUS, ["c", "a", "b"], { "vmcp.backend.ids": "a,b,c" }],
    ["has no backends where none is connected", ALICE, [], { "vmcp.identity.subject": "alice" }],
  ];

  test.for(CASES)("%s [seed 81]", async ([, identity, names, metadata]) => {
    await using session = await openSession(
      names.map((name) => fakeBackend(name)),
      { identity },
    );

    expect(session.metadata).toEqual(metadata);
  });
});

describe("session ids", () => {
  test.for(["0198c1de-1111-4222-8333-444455556666", "x", "!~"])(
    "the id %s is taken as it is [seed 84]",
    async (id) => {
      await using session = await createFactory().makeSessionWithId(id, ANONYMOUS, [], {
        client: CLIENT,
      });

      expect(session.id).toBe(id);
    },
  );

  test.for(["", "a b", "a\u007f", "a\u0001", "a\nb", "ü"])(
    "the id %j is refused [seed 84] [seed 85]",
    async (id) => {
      const backend = fakeBackend("b1");

      const making = createFactory().makeSessionWithId(id, ANONYMOUS, [backend], {
        client: CLIENT,
      });

      await expect(making).rejects.toMatchObject({ code: "invalid_argument" });
      expect(backend.connections).toEqual([]);
    },
  );
});

const INITIALIZED = {
  kind: "notification",
  method: "notifications/initialized",
  params: undefined,
  bytes: Buffer.from('{"jsonrpc":"2.0","method":"notifications/initialized"}'),
} as const;

const TOOLS_CHANGED = '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}';
