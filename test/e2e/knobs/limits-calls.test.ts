import { expect, test } from "vitest";
import { startHttpLedger } from "../../support/ledger-backend.ts";
import { openRawSession } from "../../support/raw-client.ts";
import { postCall, startHanging, startKnobs } from "./knob-gateway.ts";

test("limits.callsPerProcess: refuses one more call, whosever it is", async () => {
  await using ledger = await startHttpLedger();
  await using gateway = await startKnobs({
    backends: [{ name: "b1", url: ledger.url }],
    limits: { callsPerProcess: 2 },
  });
  const session = await openRawSession(gateway.url);
  const other = await openRawSession(gateway.url);

  await startHanging(session, ledger);
  const second = await postCall(other, "count");
  await startHanging(other, ledger);
  const third = await postCall(session, "count");

  expect(second.status).toBe(200);
  expect(third).toMatchObject({ answer: { error: { data: { kind: "overloaded" } } } });
});

test("limits.callsPerSession: refuses one more call of that session", async () => {
  await using ledger = await startHttpLedger();
  await using gateway = await startKnobs({
    backends: [{ name: "b1", url: ledger.url }],
    limits: { callsPerSession: 2 },
  });
  const session = await openRawSession(gateway.url);
  const other = await openRawSession(gateway.url);

  await startHanging(session, ledger);
  const second = await postCall(session, "count");
  await startHanging(session, ledger);
  const third = await postCall(session, "count");
  const elsewhere = await postCall(other, "count");

  expect(second.status).toBe(200);
  expect(third).toMatchObject({ answer: { error: { data: { kind: "overloaded" } } } });
  expect(elsewhere.status).toBe(200);
});

test("limits.callsPerBackend: refuses one more call at that backend", async () => {
  await using one = await startHttpLedger();
  await using two = await startHttpLedger();
  await using gateway = await startKnobs({
    backends: [
      { name: "one", url: one.url },
      { name: "two", url: two.url },
    ],
    limits: { callsPerBackend: 1 },
  });
  const session = await openRawSession(gateway.url);

  await startHanging(session, one, "one_hang");
  const busy = await postCall(session, "one_count");
  const elsewhere = await postCall(session, "two_count");

  expect(busy.answer.error?.data).toMatchObject({ kind: "backend_busy", backend: "one" });
  expect(elsewhere.answer).toHaveProperty("result");
});
