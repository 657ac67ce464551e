import { describe, expect, test } from "vitest";
import { startFaultProxy } from "../../support/fault-proxy.ts";
import { startHttpLedger } from "../../support/ledger-backend.ts";
import { startSseLedger } from "../../support/ledger-sse.ts";
import { waitFor } from "../../support/quiescence.ts";
import { openRawSession } from "../../support/raw-client.ts";
import { callText, messagesOn, toolCall } from "../protocol-backends.ts";
import { errorOf, errorOfCall, startFaultGateway, TRANSPORTS } from "./fault-backends.ts";

const CALL_MS = 200;
const CAP_MS = 800;

describe.each(TRANSPORTS)("over %s", (_name, start) => {
  test("progress that never ends keeps a call alive up to the cap, and no longer [F7] [I11]", async () => {
    await using backend = await start();
    const timeouts = { call: `${CALL_MS}ms`, callMax: `${CAP_MS}ms` };
    await using gateway = await startFaultGateway([{ ...backend.entry(), timeouts }]);
    const session = await openRawSession(gateway.url);

    const args = { ms: 60_000, steps: 3_000 };
    const answer = await session.startPost(toolCall(1, "slow", args, "p"));
    await answer.ended;

    expect(errorOf(answer)).toMatchObject({
      code: -32_603,
      data: { kind: "backend_timeout", executionState: "unknown" },
    });
    expect(messagesOn(answer).length).toBeGreaterThan(2);
    const { calls, cancellations } = backend.backend.ledger;
    await waitFor(() => cancellations.length === 1);
    const lastedMs = (cancellations[0]?.atMs ?? 0) - (calls[0]?.atMs ?? 0);
    expect(lastedMs).toBeGreaterThan(CALL_MS * 2);
    expect(cancellations).toMatchObject([{ wasInFlight: true }]);
    expect(await callText(session, "echo", { text: "still here" })).toBe("still here");
  });
});

describe("a connection of which only one side knows that it is dead", () => {
  test("ends a call at its deadline, and the next call takes a new connection [F11] [I11]", async () => {
    await using ledger = await startHttpLedger();
    await using proxy = await startFaultProxy(ledger.port);
    const timeouts = { call: "300ms" };
    await using gateway = await startFaultGateway([
      { name: "b", url: proxy.url("/mcp"), timeouts },
    ]);
    await gateway.vmcp.probed();
    const session = await openRawSession(gateway.url);
    expect(await callText(session, "count")).toBe("1");
    const before = proxy.acceptedConnections;

    proxy.stallOpen();
    const error = await errorOfCall(session, "count");
    const next = await callText(session, "count");

    expect(error).toMatchObject({ data: { kind: "backend_timeout", executionState: "unknown" } });
    expect(next).toBe("2");
    expect(proxy.acceptedConnections).toBeGreaterThan(before);
    expect(ledger.initializeCount).toBe(2);
  });

  test("and is a stream that everything comes on is found out, and opened anew [F11] [I11]", async () => {
    await using sse = await startSseLedger();
    await using proxy = await startFaultProxy(sse.port);
    const timeouts = { call: "300ms" };
    await using gateway = await startFaultGateway([
      { name: "b", transport: "sse", url: proxy.url("/sse"), timeouts },
    ]);
    await gateway.vmcp.probed();
    const session = await openRawSession(gateway.url);
    await callText(session, "count");

    proxy.stallOpen();
    const error = await errorOfCall(session, "count");
    const again = await waitFor(async () => {
      const answer = await session.post(toolCall("again", "count"));
      return answer.text.includes('"result"') && JSON.parse(answer.text);
    });

    expect(error).toMatchObject({ data: { kind: "backend_timeout", executionState: "unknown" } });
    expect(again).toMatchObject({
      result: { content: [{ text: "1" }], _meta: { backend_reinitialized: true } },
    });
  });

  test("keeps nobody from closing: the session and the gateway end all the same [F11] [I4]", async () => {
    await using ledger = await startHttpLedger();
    await using proxy = await startFaultProxy(ledger.port);
    const gateway = await startFaultGateway([{ name: "b", url: proxy.url("/mcp") }]);
    const session = await openRawSession(gateway.url);
    const call = session.post(toolCall(1, "hang"));
    await waitFor(() => ledger.ledger.calls.length === 1);

    proxy.change({ toBackend: { isStalled: true }, toClient: { isStalled: true } });
    const deleted = await session.delete();
    await gateway.vmcp.close();

    expect(deleted.status).toBe(200);
    expect(errorOf(await call)).toMatchObject({
      data: { kind: "session_closed", executionState: "unknown" },
    });
    await waitFor(() => proxy.openConnections === 0);
  });

  test("that hears nothing while it starts holds up no other backend [F11] [I11]", async () => {
    await using ledger = await startHttpLedger();
    await using sound = await startHttpLedger();
    await using proxy = await startFaultProxy(ledger.port);
    proxy.change({ toBackend: { isStalled: true } });
    await using gateway = await startFaultGateway(
      [
        { name: "dead", url: proxy.url("/mcp"), timeouts: { start: "500ms" } },
        { name: "sound", url: sound.url },
      ],
      { operational: { sessions: { startDeadline: "100ms" } } },
    );

    const session = await openRawSession(gateway.url);

    expect(await callText(session, "count")).toBe("1");
    proxy.heal();
    await waitFor(async () => (await callText(session, "dead_count")) === "1");
  });
});

test("an answer that is cut in the middle is no answer, and is not asked for again [F6] [I1]", async () => {
  await using ledger = await startHttpLedger();
  await using proxy = await startFaultProxy(ledger.port);
  await using gateway = await startFaultGateway([{ name: "b", url: proxy.url("/mcp") }]);
  const session = await openRawSession(gateway.url);
  const call = session.post(toolCall(1, "slow", { ms: 100 }));
  await waitFor(() => ledger.ledger.calls.length === 1);

  proxy.change({ toClient: { cutAfterBytes: 150 } });
  const answer = await call;
  proxy.heal();

  expect(errorOf(answer)).toMatchObject({
    data: { kind: "backend_closed", executionState: "unknown" },
  });
  expect(await callText(session, "echo", { text: "next" })).toBe("next");
  expect(ledger.ledger.calls.map(({ tool }) => tool)).toEqual(["slow", "echo"]);
});
