import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { startHttpLedger } from "../../support/ledger-backend.ts";
import { openRawSession, startRaw } from "../../support/raw-client.ts";
import { callText, INITIALIZE, startKnobs } from "./knob-gateway.ts";
import { holdSocket, type HeldSocket } from "./wire.ts";

const UNREACHED = { backends: [{ name: "b1", url: "http://127.0.0.1:1/mcp" }] };

const UNFINISHED_HEAD = "POST /mcp HTTP/1.1\r\nHost: localhost\r\n";

const UNFINISHED_BODY = [
  "POST /mcp HTTP/1.1",
  "Host: localhost",
  "Content-Type: application/json",
  "Accept: application/json, text/event-stream",
  "Content-Length: 1000",
  "",
  JSON.stringify(INITIALIZE).slice(0, 20),
].join("\r\n");

const HEALTH_REQUEST = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";

/**
 * Each row: what a client sends before it falls silent, the limits of both gateways, and the one limit that ends the
 * silence at the first gateway and does not at the second.
 */
const SILENCES = [
  [
    "limits.headersTimeout: ends a request whose head does not come",
    UNFINISHED_HEAD,
    { bodyTimeout: "10m", idleTimeout: "10m" },
    "headersTimeout",
    /^HTTP\/1\.1 408 /,
  ],
  [
    "limits.bodyTimeout: ends a request whose body does not come",
    UNFINISHED_BODY,
    { headersTimeout: "100ms", idleTimeout: "10m" },
    "bodyTimeout",
    /^HTTP\/1\.1 408 /,
  ],
  [
    "limits.keepAliveTimeout: closes a connection that was used and is not used again",
    HEALTH_REQUEST,
    { idleTimeout: "10m" },
    "keepAliveTimeout",
    /^HTTP\/1\.1 200 /,
  ],
  [
    "limits.idleTimeout: closes a connection on which nothing was ever sent",
    "",
    { headersTimeout: "10m" },
    "idleTimeout",
    /^$/,
  ],
] as const;

test.for(SILENCES)("%s", async ([_title, bytes, limits, field, received]) => {
  await using short = await startKnobs({ ...UNREACHED, limits: { ...limits, [field]: "100ms" } });
  await using long = await startKnobs({ ...UNREACHED, limits: { ...limits, [field]: "10m" } });
  await using patient = await holdSocket(long.url, bytes);
  await using hurried = await holdSocket(short.url, bytes);

  await expect.poll(() => hurried.isClosed).toBe(true);

  expect(hurried.received).toMatch(received);
  expect(patient.isClosed).toBe(false);
});

test("limits.idleTimeout: does not end a call that is merely quiet", async () => {
  await using ledger = await startHttpLedger();
  await using gateway = await startKnobs({
    backends: [{ name: "b1", url: ledger.url }],
    limits: { idleTimeout: "300ms" },
  });
  const session = await openRawSession(gateway.url);

  expect(await callText(session, "slow", { ms: 1_000 })).toBe("waited 1000 ms");
});

test("limits.idleTimeout: does not end a stream on which nothing has happened yet", async () => {
  await using ledger = await startHttpLedger();
  await using gateway = await startKnobs({
    backends: [{ name: "b1", url: ledger.url }],
    limits: { idleTimeout: "300ms" },
  });
  const session = await openRawSession(gateway.url);
  const stream = await session.openStream();

  await callText(session, "slow", { ms: 1_000 });
  await expect.poll(() => ledger.openStreams).toBe(1);
  ledger.notify("notifications/message", { level: "info", data: "late" });

  await expect.poll(() => stream.events).toHaveLength(1);
  stream.destroy();
});

test("limits.maxConnections: closes one connection more at once", async () => {
  await using gateway = await startKnobs({ ...UNREACHED, limits: { maxConnections: 1 } });
  await using usual = await startKnobs(UNREACHED);
  await using held = await holdSocket(gateway.url);
  await using alsoHeld = await holdSocket(usual.url);

  const refused = async () => startRaw(new URL("/health", gateway.url).href);
  const answered = await startRaw(new URL("/health", usual.url).href);

  await expect(refused()).rejects.toMatchObject({ code: "ECONNRESET" });
  expect(answered.status).toBe(200);
  expect([held.isClosed, alsoHeld.isClosed]).toEqual([false, false]);
});

test(
  "limits.maxConnections: clients that come get the places of connections long at rest, and of no others",
  { timeout: 60_000 },
  async () => {
    const timeouts = { headersTimeout: "10m", idleTimeout: "10m", keepAliveTimeout: "10m" };
    await using ledger = await startHttpLedger();
    await using gateway = await startKnobs({
      backends: [{ name: "b1", url: ledger.url }],
      limits: { maxConnections: 32, ...timeouts },
    });
    const session = await openRawSession(gateway.url);
    const stream = await session.openStream();
    await using unasked = await holdSocket(gateway.url);
    await using busy = await holdSocket(gateway.url);
    using _asking = repeating(() => busy.write(HEALTH_REQUEST));

    await using resting = await holdInTurn(gateway.url, 40);
    await delay(5_500);
    await using coming = await holdInTurn(gateway.url, 10);

    expect(resting.answered()).toBeLessThan(32);
    // The first of them finds no place yet.
    expect(coming.answered()).toBeGreaterThanOrEqual(9);
    expect([unasked.isClosed, busy.isClosed]).toEqual([false, false]);
    ledger.notify("notifications/message", { level: "info", data: "still here" });
    await expect.poll(() => stream.events).toHaveLength(1);
    stream.destroy();
  },
);

/** Connections of clients that ask once, one after the other, and stay. */
async function holdInTurn(
  url: string,
  count: number,
): Promise<AsyncDisposable & { readonly answered: () => number }> {
  const held: HeldSocket[] = [];
  for (let index = 0; index < count; index += 1) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other is what is tested
    const next = await holdSocket(url, HEALTH_REQUEST);
    held.push(next);
    // oxlint-disable-next-line no-await-in-loop -- as above
    await expect.poll(() => next.isClosed || next.received !== "", { interval: 1 }).toBe(true);
  }
  return {
    answered: () => held.filter(({ received }) => received !== "").length,
    [Symbol.asyncDispose]: async () => {
      await Promise.all(held.map(async (each) => each[Symbol.asyncDispose]()));
    },
  };
}

function repeating(act: () => void): Disposable {
  const timer = setInterval(act, 200);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
