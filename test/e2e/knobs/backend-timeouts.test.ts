import { expect, test } from "vitest";
import { startHttpLedger } from "../../support/ledger-backend.ts";
import { openRawSession } from "../../support/raw-client.ts";
import { ask, call, probedStatusOf, startKnobs } from "./knob-gateway.ts";
import { startSilentServer } from "./wire.ts";

// Whatever is not set here is longer than a test may take: without the knob the test would not end.

test("backends[].timeouts.connect: gives up a handshake before the start does", async () => {
  await using silent = await startSilentServer();
  const url = `https://127.0.0.1:${silent.port}/mcp`;
  const reasons: unknown[] = [];

  for (const connect of ["10m", "50ms"]) {
    await using gateway = await startKnobs({
      backends: [{ name: "b1", url, timeouts: { start: "3s", connect } }],
    });
    reasons.push((await probedStatusOf(gateway)).reason);
  }

  expect(reasons).toEqual([
    expect.stringMatching(/within (?:3 s|3000 ms)/),
    expect.stringContaining("cannot be reached"),
  ]);
});

test("backends[].timeouts.start: gives up a backend that does not start", async () => {
  await using hanging = await startHttpLedger({ initialize: "hang" });
  await using gateway = await startKnobs({
    backends: [{ name: "b1", url: hanging.url, timeouts: { start: "100ms" } }],
  });

  expect(await probedStatusOf(gateway)).toMatchObject({
    state: "unhealthy",
    reason: expect.stringMatching(/within (?:0\.1 s|100 ms)/),
  });
});

test("backends[].timeouts.call: ends a call that is not answered, and tells the backend", async () => {
  await using ledger = await startHttpLedger();
  await using gateway = await startKnobs({
    backends: [{ name: "b1", url: ledger.url, timeouts: { call: "300ms" } }],
  });
  const session = await openRawSession(gateway.url);

  const { error } = await call(session, "hang");

  expect(error?.data).toMatchObject({ kind: "backend_timeout", backend: "b1" });
  await expect.poll(() => ledger.ledger.cancellations).toHaveLength(1);
});

// [spec:lifecycle-18]
test("backends[].timeouts.tools: ends calls of the tool that it names, by the backend's own name, and no other's", async () => {
  await using ledger = await startHttpLedger();
  await using gateway = await startKnobs({
    backends: [{ name: "b1", url: ledger.url, timeouts: { tools: { hang: "100ms" } } }],
    aggregation: { tools: [{ workload: "b1", overrides: { hang: { name: "patience" } } }] },
  });
  const session = await openRawSession(gateway.url);

  const [hung, waited] = await Promise.all([
    call(session, "patience"),
    call(session, "slow", { ms: 400 }),
  ]);

  expect(hung.error?.data).toMatchObject({ kind: "backend_timeout", backend: "b1" });
  expect(waited).toMatchObject({ result: { content: [{ text: "waited 400 ms" }] } });
});

test("backends[].timeouts.callMax: ends a call however much progress it reports", async () => {
  await using ledger = await startHttpLedger();
  await using gateway = await startKnobs({
    backends: [{ name: "b1", url: ledger.url, timeouts: { call: "500ms", callMax: "500ms" } }],
  });
  const session = await openRawSession(gateway.url);

  const { error } = await ask(session, "tools/call", {
    name: "slow",
    arguments: { ms: 60_000, steps: 1_200 },
    _meta: { progressToken: "p" },
  });

  expect(error?.data).toMatchObject({ kind: "backend_timeout", backend: "b1" });
});

test("backends[].timeouts.clientAnswer: ends the wait for a client that does not answer", async () => {
  await using ledger = await startHttpLedger();
  await using gateway = await startKnobs({
    backends: [{ name: "b1", url: ledger.url, timeouts: { clientAnswer: "100ms" } }],
  });
  const session = await openRawSession(gateway.url, { capabilities: { elicitation: {} } });

  const answer = await call(session, "ask", { method: "elicitation/create", params: {} });

  // Either the backend hears of it in time to answer, or its call is ended as well.
  expect(JSON.stringify(answer)).toMatch(/did not answer in time|client_answer_timeout/);
});

test("backends[].timeouts.clientAnswer: counts for its own backend where another is more patient", async () => {
  await using ledger = await startHttpLedger();
  await using other = await startHttpLedger();
  await using gateway = await startKnobs({
    backends: [
      { name: "quick", url: ledger.url, timeouts: { clientAnswer: "100ms" } },
      { name: "patient", url: other.url },
    ],
  });
  const session = await openRawSession(gateway.url, { capabilities: { elicitation: {} } });

  const { error } = await call(session, "quick_ask", { method: "elicitation/create", params: {} });

  expect(error?.data).toMatchObject({ kind: "client_answer_timeout", backend: "quick" });
});
