import { describe, expect, test } from "vitest";
import { startGateway } from "../support/gateway.ts";
import { waitFor } from "../support/quiescence.ts";
import { lastMessage, openRawSession, postMessage } from "../support/raw-client.ts";
import {
  answerText,
  BACKENDS,
  backendSessionOf,
  callText,
  childOf,
  initializeMessage,
  lastMessageOf,
  methodsAt,
  startHttp,
  startStdio,
  toolCall,
} from "./protocol-backends.ts";

const REVISIONS = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] as const;

// [spec:lifecycle-3] [spec:lifecycle-9] [spec:base-11] [spec:tools-1] [spec:resources-1] [spec:prompts-1] [spec:logging-1] [spec:completion-1]
test.for(REVISIONS)(
  "initialize with %s is answered by that revision, capabilities and a name",
  async (revision) => {
    await using backend = await startHttp({ instructions: "Be kind." });
    await using gateway = await startGateway({ name: "the-gateway", backends: [backend.entry()] });

    const answer = await postMessage(gateway.url, initializeMessage(revision));

    expect(lastMessage(answer)).toMatchObject({
      jsonrpc: "2.0",
      id: 0,
      result: {
        protocolVersion: revision,
        capabilities: {
          tools: { listChanged: true },
          prompts: { listChanged: true },
          resources: { listChanged: true, subscribe: true },
          logging: {},
          completions: {},
        },
        serverInfo: { name: "the-gateway", version: expect.any(String) },
        instructions: "Be kind.",
      },
    });
  },
);

// [spec:lifecycle-10] [spec:lifecycle-11] [spec:lifecycle-20]
test.for(["1.0.0", "2024-10-07", "2026-07-28", "3000-01-01", ""])(
  "initialize with the revision %j is answered by the newest sessionful one",
  async (revision) => {
    await using backend = await startHttp();
    await using gateway = await startGateway({ backends: [backend.entry()] });

    const answer = await postMessage(gateway.url, initializeMessage(revision));

    expect(lastMessage(answer)).toMatchObject({ result: { protocolVersion: "2025-11-25" } });
  },
);

test("instructions of several backends stand under their names", async () => {
  await using first = await startHttp({ instructions: "First things." });
  await using second = await startHttp({ instructions: "Second things." });
  await using silent = await startHttp();
  await using gateway = await startGateway({
    backends: [first.entry("one"), second.entry("two"), silent.entry("three")],
  });

  const answer = await postMessage(gateway.url, initializeMessage("2025-11-25"));

  expect(lastMessage(answer)).toMatchObject({
    result: { instructions: "# one\n\nFirst things.\n\n# two\n\nSecond things." },
  });
});

// [spec:lifecycle-1] [spec:lifecycle-20]
test("nothing is served before initialize, and a second initialize in a session is refused", async () => {
  await using backend = await startHttp();
  await using gateway = await startGateway({ backends: [backend.entry()] });
  const early = await postMessage(gateway.url, toolCall(1, "count"));
  const session = await openRawSession(gateway.url);

  const again = await session.post(initializeMessage("2025-11-25"));

  expect([early.status, lastMessage(early)]).toMatchObject([
    400,
    { id: 1, error: { code: -32_600 } },
  ]);
  expect(lastMessage(again)).toMatchObject({ id: 0, error: { code: -32_600 } });
  expect(await callText(session, "count")).toBe("1");
});

// [spec:lifecycle-20]
test.for<[string, object]>([
  ["without a revision", { capabilities: {}, clientInfo: { name: "x", version: "1" } }],
  ["with a revision that is no text", { protocolVersion: 7, capabilities: {} }],
  ["with capabilities that are no object", { protocolVersion: "2025-11-25", capabilities: [] }],
])("initialize %s is refused with -32602 and opens nothing", async ([, params]) => {
  await using backend = await startHttp();
  await using gateway = await startGateway({ backends: [backend.entry()] });

  const answer = await postMessage(gateway.url, {
    jsonrpc: "2.0",
    id: "i",
    method: "initialize",
    params: { ...params },
  });

  expect(lastMessage(answer)).toMatchObject({ id: "i", error: { code: -32_602 } });
  expect(answer.headers["mcp-session-id"]).toBeUndefined();
  expect(gateway.vmcp.sessions.sessionCount).toBe(0);
});

describe.each(BACKENDS)("with a backend over %s", (_transport, startBackend) => {
  // [spec:lifecycle-1] [spec:lifecycle-4] [spec:lifecycle-5] [spec:lifecycle-7] [spec:lifecycle-8] [spec:lifecycle-21]
  test("a backend is greeted by initialize with the newest revision, then told that it is initialized, then asked", async () => {
    await using backend = await startBackend({ initDelayMs: 50 });
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url, { revision: "2025-03-26" });
    await callText(session, "count");

    const own = await backendSessionOf(backend, session);

    const [first, second, ...further] = methodsAt(backend, own);
    expect([first, second]).toEqual(["initialize", "notifications/initialized"]);
    expect(further).not.toContain("initialize");
    expect(own.clientParams["protocolVersion"]).toBe("2025-11-25");
    expect(backend.backend.ledger.messages.every(({ text }) => text.startsWith("{"))).toBe(true);
  });

  // [spec:ping-1]
  test("a ping is answered at once with an empty result, by the gateway to both sides", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({ backends: [backend.entry()] });
    const session = await openRawSession(gateway.url);
    const stream = await session.openStream();
    await backend.canSpeakTo(1);
    const own = await backendSessionOf(backend, session);

    const toClient = await session.request("ping");
    const toCall = JSON.parse(await callText(session, "ask", { method: "ping" }));
    const toBackend = JSON.parse(await backend.backend.request(own, "ping", {}));

    expect(toClient).toEqual({ jsonrpc: "2.0", id: 2, result: {} });
    expect(toCall).toEqual({ jsonrpc: "2.0", id: 1, result: {} });
    expect(toBackend).toEqual({ jsonrpc: "2.0", id: 2, result: {} });
    expect(stream.events).toEqual([]);
    stream.destroy();
  });

  // [spec:base-7] [spec:base-8]
  test.for(["no/such/method", "notifications/initialized", "sampling/createMessage", ""])(
    "the method %j of a request is unknown, and no backend hears of it",
    async (method) => {
      await using backend = await startBackend();
      await using gateway = await startGateway({ backends: [backend.entry()] });
      const session = await openRawSession(gateway.url);

      const answer = await session.post({ jsonrpc: "2.0", id: "u", method });

      expect([answer.status, lastMessage(answer)]).toMatchObject([
        200,
        { jsonrpc: "2.0", id: "u", error: { code: -32_601, message: expect.any(String) } },
      ]);
      const heard = backend.backend.ledger.messages.filter(({ id }) => id === "u");
      expect(heard).toEqual([]);
    },
  );

  // [spec:lifecycle-12] [spec:lifecycle-20]
  test("a backend that insists on a revision that nobody speaks is left", async () => {
    await using backend = await startBackend({ revision: "9999-01-01" });
    await using fine = await startBackend({ name: "fine" });
    await using gateway = await startGateway({ backends: [backend.entry(), fine.entry("fine")] });
    const session = await openRawSession(gateway.url);

    const methods = backend.backend.ledger.messages.map(({ method }) => method);

    const greetings = ["server/discover", "initialize"];
    expect(methods.filter((method = "") => !greetings.includes(method))).toEqual([]);
    await waitFor(() => backend.backend.openSessions === 0);
    expect(await callText(session, "count")).toBe("1");
  });

  // [spec:lifecycle-16] [spec:lifecycle-17] [spec:tools-12] [spec:lifecycle-20]
  test("a call that takes too long is cancelled at the backend and answered with an error", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({
      backends: [{ ...backend.entry(), timeouts: { call: "100ms" } }],
    });
    const session = await openRawSession(gateway.url);

    const answer = await session.post(toolCall(1, "hang"));

    expect(lastMessage(answer)).toMatchObject({
      id: 1,
      error: { code: -32_603, data: { kind: "backend_timeout", executionState: "unknown" } },
    });
    await waitFor(() => backend.backend.ledger.cancellations.length === 1);
    expect(backend.backend.ledger.cancellations).toMatchObject([{ wasInFlight: true }]);
  });

  // [spec:lifecycle-19]
  test("progress keeps a call alive, but not for longer than the longest time", async () => {
    await using backend = await startBackend();
    await using gateway = await startGateway({
      backends: [{ ...backend.entry(), timeouts: { call: "200ms", callMax: "700ms" } }],
    });
    const session = await openRawSession(gateway.url);

    const [kept, cut] = await Promise.all([
      session.post(toolCall(1, "slow", { ms: 400, steps: 8 }, "kept")),
      session.post(toolCall(2, "slow", { ms: 60_000, steps: 1_200 }, "cut")),
    ]);

    expect(answerText(await lastMessageOf(kept))).toBe("waited 400 ms");
    expect(await lastMessageOf(cut)).toMatchObject({
      id: 2,
      error: { data: { kind: "backend_timeout" } },
    });
  });
});

// [spec:lifecycle-15]
test("a child is ended by the end of its input, and by signals if it does not heed that", async () => {
  await using polite = await startStdio();
  await using stubborn = await startStdio({}, ["ignore-eof", "ignore-term"]);
  await using gateway = await startGateway({
    backends: [polite.entry("polite"), stubborn.entry("stubborn")],
  });
  const session = await openRawSession(gateway.url);
  const politeChild = await childOf(polite, session, "polite_whoami");
  const stubbornChild = await childOf(stubborn, session, "stubborn_whoami");

  await session.delete();

  await waitFor(() => !politeChild.isAlive && !stubbornChild.isAlive);
  expect(politeChild.ending).toBe("eof");
  expect(stubbornChild).toMatchObject({
    hasSeenEof: true,
    hasSeenSigterm: true,
    ending: "silent",
  });
});

// [spec:ping-2] [spec:ping-4]
test("a backend is probed as often as configured, and one that does not answer is logged as failed", async () => {
  const warnings: string[] = [];
  await using backend = await startHttp();
  await using gateway = await startGateway(
    {
      backends: [backend.entry()],
      operational: {
        sessionManagementV2: true,
        failureHandling: {
          healthCheckInterval: "100ms",
          healthCheckTimeout: "50ms",
          unhealthyThreshold: 1,
        },
      },
    },
    {
      logger: {
        debug() {},
        info() {},
        warn: (message, fields) => void warnings.push(`${message} ${JSON.stringify(fields)}`),
        error() {},
      },
    },
  );
  await gateway.vmcp.probed();
  const pings = (): number =>
    backend.backend.ledger.messages.filter(({ method }) => method === "ping").length;
  await waitFor(() => pings() > 2);

  backend.backend.change({ ping: "hang" });

  await waitFor(() => gateway.vmcp.health()[0]?.state === "unhealthy");
  expect(warnings.filter((line) => line.startsWith("backend is not healthy"))).toHaveLength(1);
  backend.backend.change({ ping: "answer" });
  await waitFor(() => gateway.vmcp.health()[0]?.state === "healthy");
});
