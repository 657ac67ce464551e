import { describe, expect, onTestFinished, test } from "vitest";
import { startHttpLedger, type HttpLedger } from "../../test/support/ledger-backend.ts";
import { beginStream, writeEvent } from "../../test/support/http-reply.ts";
import { startStdioLedger } from "../../test/support/ledger-stdio.ts";
import type { LedgerScript } from "../../test/support/ledger-script.ts";
import { parseBackendName } from "../domain/ids.ts";
import { SILENT_LOGGER } from "../domain/logger.ts";
import { createBackendConnector } from "./connector.ts";
import { createRequestScopedConnector } from "./request-scoped.ts";
import type { BackendProbe } from "./probe.ts";
import { HttpPools } from "./streamable-http/http-pools.ts";

const NEVER = new AbortController().signal;

const NAME = parseBackendName("b1");

/** A probe of a backend over HTTP, both of which end with the test. */
async function setUp(script: Partial<LedgerScript> = {}, create = createBackendConnector) {
  const ledger = await startHttpLedger(script);
  onTestFinished(async () => ledger.close());
  const http = new HttpPools();
  onTestFinished(async () => http[Symbol.asyncDispose]());
  const { url } = ledger;
  const options = { name: NAME, transport: "streamable-http", url, http, logger: SILENT_LOGGER };
  let changes = 0;
  const probe = create(options).createProbe(() => (changes += 1));
  onTestFinished(async () => probe[Symbol.asyncDispose]());
  return { ledger, probe, changes: () => changes };
}

/** The methods that the backend was asked for, without those that make up the opening of a session. */
function methodsOf({ ledger }: HttpLedger): readonly (string | undefined)[] {
  return ledger.messages
    .map(({ method }) => method)
    .filter((method) => method !== "notifications/initialized");
}

async function look(probe: BackendProbe, times: number): Promise<void> {
  // One look runs at a time.
  // oxlint-disable-next-line no-await-in-loop
  for (let time = 0; time < times; time += 1) await probe.look(NEVER);
}

describe("a probe over HTTP", () => {
  test("opens one session and lists once; every later look is one ping", async () => {
    const { ledger, probe } = await setUp();

    const first = await probe.look(NEVER);
    await look(probe, 3);

    expect(methodsOf(ledger)).toEqual(["initialize", "tools/list", "ping", "ping", "ping"]);
    expect(first).toMatchObject({ isNewlyListed: true, greeting: { revision: "2025-11-25" } });
    expect(first.latencyMs).toBeGreaterThanOrEqual(0);
  });

  test("calls itself vmcp-probe and declares nothing", async () => {
    const { ledger, probe } = await setUp();

    await probe.look(NEVER);

    expect(ledger.ledger.initializes[0]?.text).toContain('"clientInfo":{"name":"vmcp-probe"');
    expect(ledger.ledger.initializes[0]?.text).toContain('"capabilities":{}');
  });

  test("asks a backend that does not know ping for its tools", async () => {
    const { ledger, probe } = await setUp({ ping: "unknown" });

    await look(probe, 4);

    expect(methodsOf(ledger)).toEqual([
      "initialize",
      "tools/list",
      "ping",
      "tools/list",
      "tools/list",
    ]);
  });

  test("pings on where there are no tools to ask for: that it is not known is an answer too", async () => {
    const { ledger, probe } = await setUp({ ping: "unknown", capabilities: {} });

    await look(probe, 3);

    expect(methodsOf(ledger)).toEqual(["initialize", "ping", "ping"]);
  });

  test("lists again after the backend said that its lists changed, and only then", async () => {
    const { ledger, probe, changes } = await setUp();
    const before = await probe.look(NEVER);
    await expect
      .poll(() => ledger.requests.filter(({ method }) => method === "GET").length)
      .toBe(1);
    ledger.change({ tools: ['{"name":"late","inputSchema":{"type":"object"}}'] });

    await expect
      .poll(() => {
        ledger.notify("notifications/tools/list_changed");
        return changes();
      })
      .toBeGreaterThan(0);
    const after = await probe.look(NEVER);
    const later = await probe.look(NEVER);

    expect(before.capabilities.tools.map(({ key }) => key)).not.toContain("late");
    expect(after.isNewlyListed).toBe(true);
    expect(after.capabilities.tools.map(({ key }) => key)).toContain("late");
    expect(later.isNewlyListed).toBe(false);
  });

  test("opens no stream with a backend that announces no changes", async () => {
    const { ledger, probe } = await setUp({ capabilities: { tools: {} } });

    await look(probe, 2);

    expect(ledger.requests.filter(({ method }) => method === "GET")).toEqual([]);
  });

  test("a session that the backend forgot is opened anew in the same look, and listed", async () => {
    const { ledger, probe } = await setUp();
    await probe.look(NEVER);
    ledger.change({ tools: ['{"name":"late","inputSchema":{"type":"object"}}'] });

    ledger.forgetSessions();
    const finding = await probe.look(NEVER);

    expect(ledger.initializeCount).toBe(2);
    expect(finding.isNewlyListed).toBe(true);
    expect(finding.capabilities.tools.map(({ key }) => key)).toContain("late");
  });

  test("answers the pings of a backend, and refuses whatever else it asks", async () => {
    const { ledger, probe } = await setUp();
    const answers: string[] = [];
    ledger.interceptWith((request, body, response) => {
      if (request.method === "POST" && !body.includes('"method"')) answers.push(body);
      if (request.method !== "GET") return false;
      beginStream(response, {});
      writeEvent(response, '{"jsonrpc":"2.0","id":"p","method":"ping"}');
      writeEvent(response, '{"jsonrpc":"2.0","id":7,"method":"roots/list"}');
      return true;
    });

    await probe.look(NEVER);

    await expect.poll(() => answers.length).toBe(2);
    expect(answers.join()).toContain('"id":"p","result":{}');
    expect(answers.join()).toContain('"id":7,"error":{"code":-32601');
  });

  test("a backend that cannot be reached fails the look, and its session is used again afterwards", async () => {
    const { ledger, probe } = await setUp();
    await probe.look(NEVER);

    await ledger.stopListening();
    const failed = probe.look(NEVER);
    await expect(failed).rejects.toMatchObject({ code: "backend_unreachable" });
    await ledger.listen();
    const finding = await probe.look(NEVER);

    expect(ledger.initializeCount).toBe(1);
    expect(finding.isNewlyListed).toBe(true);
  });

  test("a look that is given up leaves the session, and the next one has a new one", async () => {
    const { ledger, probe } = await setUp();
    await probe.look(NEVER);
    ledger.change({ ping: "hang" });
    const patience = new AbortController();
    const looking = probe.look(patience.signal);
    await expect.poll(() => methodsOf(ledger)).toContain("ping");

    patience.abort(new Error("long enough"));
    await expect(looking).rejects.toThrow("long enough");
    ledger.change({ ping: "answer" });
    await probe.look(NEVER);

    expect(ledger.initializeCount).toBe(2);
    await expect.poll(() => ledger.ledger.deletes).toHaveLength(1);
  });

  test.for([[429], [400]] as const)(
    "a backend that answers the ping with %s is there",
    async ([status]) => {
      const { ledger, probe } = await setUp();
      await probe.look(NEVER);
      ledger.interceptWith((_request, body, response) => {
        if (!body.includes('"ping"')) return false;
        response.writeHead(status).end();
        return true;
      });

      await expect(probe.look(NEVER)).resolves.toMatchObject({ greeting: {} });
    },
  );

  test("a backend that answers with 500 is not", async () => {
    const { ledger, probe } = await setUp();
    await probe.look(NEVER);

    ledger.change({ refuseWithStatus: 500 });

    await expect(probe.look(NEVER)).rejects.toMatchObject({ code: "backend_http_5xx" });
  });

  test("closing ends its session with the backend", async () => {
    const { ledger, probe } = await setUp();
    await look(probe, 2);

    await probe[Symbol.asyncDispose]();

    expect(ledger.probeSessions).toBe(0);
    expect(ledger.ledger.deletes).toHaveLength(1);
  });
});

test("where nothing is kept between requests, each look opens, lists and closes", async () => {
  const { ledger, probe } = await setUp({}, createRequestScopedConnector);

  await look(probe, 2);

  expect(methodsOf(ledger)).toEqual(["initialize", "tools/list", "initialize", "tools/list"]);
  expect(ledger.probeSessions).toBe(0);
});

test("a child is started for a look and has ended after it; its start is not timed", async () => {
  await using ledger = await startStdioLedger();
  const { command, args } = ledger;
  const options = { name: NAME, transport: "stdio", command, args, logger: SILENT_LOGGER };
  await using probe = createBackendConnector(options).createProbe();

  const finding = await probe.look(NEVER);

  expect(finding.latencyMs).toBeUndefined();
  expect(finding.capabilities.tools.length).toBeGreaterThan(0);
  expect(ledger.aliveChildren).toEqual([]);
});
