import { expect, test } from "vitest";
import { startHttpLedger, type HttpLedger } from "../../support/ledger-backend.ts";
import { waitFor } from "../../support/quiescence.ts";
import { openRawSession, postMessage, sendRaw } from "../../support/raw-client.ts";
import { startVmcp } from "../../support/vmcp-process.ts";
import { clientGreetings, INITIALIZE, startHanging, startKnobs, statusOf } from "./knob-gateway.ts";

const PING = { jsonrpc: "2.0", id: "ping", method: "ping" };

test("operational.sessions.idleTtl: ends a session that nobody uses, and no other", async () => {
  await using ledger = await startHttpLedger();
  await using gateway = await startKnobs({
    backends: [{ name: "b1", url: ledger.url }],
    operational: { sessions: { idleTtl: "1s" } },
  });
  const left = await openRawSession(gateway.url);
  const used = await openRawSession(gateway.url);
  const stream = await used.openStream();

  await waitFor(() => gateway.vmcp.sessions.sessionCount === 1);

  expect((await left.post(PING)).status).toBe(404);
  expect((await used.post(PING)).status).toBe(200);
  await expect.poll(() => ledger.openSessions).toBe(1);
  stream.destroy();
});

test("operational.sessions.absoluteTtl: ends a session however busy it is", async () => {
  await using ledger = await startHttpLedger();
  await using gateway = await startKnobs({
    backends: [{ name: "b1", url: ledger.url }],
    operational: { sessions: { absoluteTtl: "300ms" } },
  });
  const session = await openRawSession(gateway.url);
  const stream = await session.openStream();

  await stream.ended;

  await waitFor(() => ledger.openSessions === 0);
  expect((await session.post(PING)).status).toBe(404);
});

test("operational.sessions.unusedTtl: ends a session that nothing was asked of, and no other", async () => {
  await using ledger = await startHttpLedger();
  await using gateway = await startKnobs({
    backends: [{ name: "b1", url: ledger.url }],
    operational: { sessions: { unusedTtl: "300ms" } },
  });
  const silent = await openRawSession(gateway.url);
  const asking = await openRawSession(gateway.url);
  await asking.request("tools/list");

  await waitFor(() => gateway.vmcp.sessions.sessionCount === 1);

  expect((await silent.post(PING)).status).toBe(404);
  expect((await asking.post(PING)).status).toBe(200);
});

test("operational.sessions.evictIdleAfter: makes room for a new session where one was unused for long", async () => {
  await using ledger = await startHttpLedger();
  const start = async (evictIdleAfter: string) =>
    startKnobs({
      backends: [{ name: "b1", url: ledger.url }],
      operational: { sessions: { maxSessions: 1, evictIdleAfter } },
    });
  await using strict = await start("10m");
  await using loose = await start("20ms");
  const [kept, evicted] = [await openRawSession(strict.url), await openRawSession(loose.url)];

  await expect.poll(async () => (await postMessage(loose.url, INITIALIZE)).status).toBe(200);

  expect((await evicted.post(PING)).status).toBe(404);
  expect((await postMessage(strict.url, INITIALIZE)).status).toBe(503);
  expect((await kept.post(PING)).status).toBe(200);
});

test("operational.sessions.maxSessionsPerIdentity: refuses one more of an identified client", async () => {
  const alice = { kind: "verified", issuer: "https://idp", subject: "alice" } as const;
  await using ledger = await startHttpLedger();
  await using gateway = await startKnobs({
    backends: [{ name: "b1", url: ledger.url }],
    operational: { sessions: { maxSessionsPerIdentity: 1 } },
  });
  const first = await gateway.vmcp.openSession(alice);

  await expect(gateway.vmcp.openSession(alice)).rejects.toMatchObject({
    code: "too_many_sessions",
    retryAfterSeconds: 30,
  });

  await gateway.vmcp.openSession({ ...alice, subject: "bob" });
  await gateway.vmcp.sessions.terminate(first.id);
  await gateway.vmcp.openSession(alice);
  expect(gateway.vmcp.sessions.sessionCount).toBe(2);
});

test("operational.sessions.shutdownGrace: is how long SIGTERM leaves everything served", async () => {
  await using ledger = await startHttpLedger();
  const start = async (shutdownGrace: string) =>
    startVmcp({
      config: {
        backends: [{ name: "b1", url: ledger.url }],
        operational: { sessions: { shutdownGrace } },
      },
    });
  await using hasty = await start("0s");
  await using patient = await start("10m");
  process.kill(patient.pid, "SIGTERM");

  const { code } = await hasty.stop("SIGTERM");

  expect(code).toBe(0);
  await expect.poll(async () => (await sendRaw(`${patient.origin}/readyz`)).status).toBe(503);
  expect((await postMessage(patient.url, INITIALIZE)).status).toBe(200);
});

test("operational.sessions.maxSessions: refuses one more with 503 until there is room [A9]", async () => {
  await using ledger = await startHttpLedger();
  await using gateway = await startKnobs({
    backends: [{ name: "b1", url: ledger.url }],
    operational: { sessions: { maxSessions: 1 } },
  });
  const only = await openRawSession(gateway.url);

  const refused = await postMessage(gateway.url, INITIALIZE);
  await only.delete();
  const next = await postMessage(gateway.url, INITIALIZE);

  expect(refused.status).toBe(503);
  expect(refused.headers["retry-after"]).toBe("30");
  expect(next.status).toBe(200);
});

test("operational.sessions.maxSessions: is TOOLHIVE_MAX_SESSIONS where the file does not say", async () => {
  await using gateway = await startKnobs(
    { backends: [{ name: "b1", url: "http://127.0.0.1:1/mcp" }] },
    { TOOLHIVE_MAX_SESSIONS: "1" },
  );
  await openRawSession(gateway.url);

  expect((await postMessage(gateway.url, INITIALIZE)).status).toBe(503);
});

test("operational.sessions.startDeadline: is how long initialize waits for a backend", async () => {
  await using hanging = await startHttpLedger({ initialize: "hang" });
  const start = async (startDeadline: string) =>
    startKnobs({
      backends: [{ name: "b1", url: hanging.url }],
      operational: { sessions: { startDeadline } },
    });
  await using quick = await start("50ms");
  await using patient = await start("10m");
  let isWaiting = true;
  const late = postMessage(patient.url, INITIALIZE).finally(() => (isWaiting = false));
  await expect.poll(() => clientGreetings(hanging)).toBe(1);

  const early = await postMessage(quick.url, INITIALIZE);

  expect(early.status).toBe(200);
  expect(isWaiting).toBe(true);
  hanging.change({ initialize: "answer" });
  expect((await late).status).toBe(200);
});

test("operational.sessions.drainDeadline: is how long a session that ends waits for its calls", async () => {
  await using ledger = await startHttpLedger();
  const start = async (drainDeadline: string) =>
    startKnobs({
      backends: [{ name: "b1", url: ledger.url }],
      operational: { sessions: { drainDeadline } },
    });
  await using quick = await start("50ms");
  await using patient = await start("10m");
  const [hurried, calm] = [await openRawSession(quick.url), await openRawSession(patient.url)];
  await startHanging(hurried, ledger);
  await startHanging(calm, ledger);
  let isWaiting = true;
  const late = calm.delete().finally(() => (isWaiting = false));

  const early = await hurried.delete();

  expect(early.status).toBe(200);
  await expect.poll(() => ledger.ledger.cancellations).toHaveLength(1);
  expect(isWaiting).toBe(true);
  ledger.forgetSessions();
  ledger.cutStreams();
  await ledger.stopListening();
  expect((await late).status).toBe(200);
});

/** Sessions answer although no backend ever starts. */
const START_DEADLINE = { startDeadline: "50ms" };

function backendsAt({ url }: HttpLedger): { name: string; url: string }[] {
  return ["b1", "b2", "b3"].map((name) => ({ name, url }));
}

test("operational.sessions.maxBackendStartConcurrency: is how many backends a session starts at once", async () => {
  await using one = await startHttpLedger({ initialize: "hang" });
  await using other = await startHttpLedger({ initialize: "hang" });
  await using narrow = await startKnobs({
    backends: backendsAt(one),
    operational: { sessions: { ...START_DEADLINE, maxBackendStartConcurrency: 1 } },
  });
  await using wide = await startKnobs({
    backends: backendsAt(other),
    operational: { sessions: START_DEADLINE },
  });

  await openRawSession(narrow.url);
  await openRawSession(wide.url);

  await expect.poll(() => clientGreetings(other)).toBe(3);
  expect(clientGreetings(one)).toBe(1);
});

test("operational.sessions.maxGlobalBackendStartConcurrency: is how many backends all sessions start at once", async () => {
  await using one = await startHttpLedger({ initialize: "hang" });
  await using other = await startHttpLedger({ initialize: "hang" });
  await using narrow = await startKnobs({
    backends: [{ name: "b1", url: one.url }],
    operational: { sessions: { ...START_DEADLINE, maxGlobalBackendStartConcurrency: 1 } },
  });
  await using wide = await startKnobs({
    backends: [{ name: "b1", url: other.url }],
    operational: { sessions: START_DEADLINE },
  });

  for (const { url } of [narrow, narrow, wide, wide]) await openRawSession(url);

  await expect.poll(() => clientGreetings(other)).toBe(2);
  expect(clientGreetings(one)).toBe(1);
  expect(await statusOf(narrow)).toMatchObject({ sessions: 2 });
});
