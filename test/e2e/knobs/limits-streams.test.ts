import { expect, onTestFinished, test } from "vitest";
import type { Gateway } from "../../support/gateway.ts";
import { startHttpLedger, type HttpLedger } from "../../support/ledger-backend.ts";
import { openRawSession, type RawSession } from "../../support/raw-client.ts";
import { startKnobs } from "./knob-gateway.ts";
import { holdSocket, type HeldSocket } from "./wire.ts";

/** Together far more than the buffers of the system take for a reader that does not read. */
const MESSAGES = 256;
const MESSAGE_BYTES = 65_536;

const ROOM_FOR_ALL = "128MiB";

interface StalledStream {
  readonly session: RawSession;
  readonly socket: HeldSocket;
}

/** Opens a session and its stream, which the client does not read, while the backend sends it all messages. */
async function stallStream(gateway: Gateway, ledger: HttpLedger): Promise<StalledStream> {
  await gateway.vmcp.probed();
  const session = await openRawSession(gateway.url);
  const bytes = getRequest(gateway.url, session);
  const socket = await holdSocket(gateway.url, bytes, { isReading: false });
  onTestFinished(async () => socket[Symbol.asyncDispose]());
  await expect.poll(() => ledger.openStreams).toBe(1);
  for (let sent = 0; sent < MESSAGES; sent += 1) log(ledger, "m".repeat(MESSAGE_BYTES));
  await gatewayHasRead(ledger);
  return { session, socket };
}

function log(ledger: HttpLedger, data: string): void {
  ledger.notify("notifications/message", { level: "info", data });
}

/** The gateway answers a ping itself, after everything that came before it. */
async function gatewayHasRead(ledger: HttpLedger): Promise<void> {
  const [session] = ledger.sessions;
  if (session === undefined) throw new Error("the gateway has no session with the backend");
  await ledger.request(session, "ping", {});
}

function getRequest(url: string, { headers }: RawSession): string {
  const { pathname, host } = new URL(url);
  const all = Object.entries({ ...headers, host, accept: "text/event-stream" });
  const lines = all.map(([name, value]) => `${name}: ${value}`);
  return [`GET ${pathname} HTTP/1.1`, ...lines, "", ""].join("\r\n");
}

/** How many of the messages reach the client once it reads. */
async function delivered(streamBufferBytes: string): Promise<number> {
  await using ledger = await startHttpLedger();
  await using gateway = await startKnobs({
    backends: [{ name: "b1", url: ledger.url }],
    limits: { streamBufferBytes },
  });
  const { socket: stalled } = await stallStream(gateway, ledger);

  stalled.read();
  log(ledger, "the last one");
  await expect.poll(() => stalled.received.includes("the last one")).toBe(true);

  return stalled.received.split('"notifications/message"').length - 2;
}

test("limits.streamBufferBytes: is how much waits for a client that does not read", async () => {
  expect(await delivered(ROOM_FOR_ALL)).toBe(MESSAGES);
  expect(await delivered("1KiB")).toBeLessThan(MESSAGES);
});

/** A session has one stream: while the first is there, another is refused. */
async function statusOfAnother({ session }: StalledStream): Promise<number> {
  const stream = await session.openStream();
  stream.destroy();
  return stream.status;
}

test("limits.idleTimeout: ends the stream of a client that takes nothing", async () => {
  await using ledger = await startHttpLedger();
  await using other = await startHttpLedger();
  const limits = { streamBufferBytes: ROOM_FOR_ALL };
  await using short = await startKnobs({
    backends: [{ name: "b1", url: ledger.url }],
    limits: { ...limits, idleTimeout: "400ms" },
  });
  await using long = await startKnobs({
    backends: [{ name: "b1", url: other.url }],
    limits: { ...limits, idleTimeout: "10m" },
  });
  const patient = await stallStream(long, other);
  const hurried = await stallStream(short, ledger);

  await expect.poll(async () => statusOfAnother(hurried)).toBe(200);

  expect(await statusOfAnother(patient)).toBe(409);
});
