import { connect } from "node:net";
import {
  connectionsAt,
  delay,
  milliseconds,
  quantile,
  startBackend,
  startGateway,
  until,
} from "./parts.mjs";
import { newAgent, Session } from "./session.mjs";

export const title =
  "500 connections that send headers slowly, 500 that send bodies slowly, 60 that do not read the 8 MB they asked for";

const CONNECTIONS = 500;
/** As many calls as one backend may have, and more bytes than the kernel takes for a connection. */
const DEAF_CONNECTIONS = 60;
const DEAF_BYTES = 8_000_000;
/** What ordinary clients open and close meanwhile. */
const SPARE = 24;
const SHORT = { headersTimeout: "3s", bodyTimeout: "4s", idleTimeout: "5s" };
/** Beyond the limit: how often connections are looked at, and what moves until nothing moves. */
const LENIENCE_MS = 5_000;

export async function run({ isFull }) {
  const [sound, deaf] = await Promise.all([startBackend(), startBackend()]);
  const gateway = await startGateway({
    backends: [
      { name: "sound", url: sound.url },
      { name: "deaf", url: deaf.url },
    ],
    limits: isFull ? {} : SHORT,
  });
  // Head and body of a request have their two times together; what is unread may move once more before it rests.
  const [headersMs, requestMs, idleMs] = isFull
    ? [10_000, 40_000, 150_000]
    : [3_000, 7_000, 10_000];
  const agent = newAgent();
  const sessions = await openSessions(gateway.url, agent, 16);
  const victims = await openSessions(gateway.url, agent, 16);
  const attacks = [
    { what: "slow headers", attack: slowHeaders, limitMs: headersMs, count: CONNECTIONS },
    { what: "slow bodies", attack: slowBody, limitMs: requestMs, count: CONNECTIONS },
    { what: "answers unread", attack: readsNothing, limitMs: idleMs, count: DEAF_CONNECTIONS },
  ];
  const figures = [];
  for (const attack of attacks) figures.push(...(await play(gateway, sessions, victims, attack)));
  agent.destroy();
  return figures;
}

async function openSessions(url, agent, count) {
  const sessions = Array.from(
    { length: count },
    () => new Session(url, { agent, timeoutMs: 10_000 }),
  );
  await Promise.all(sessions.map(async (session) => session.open()));
  return sessions;
}

/** That the gateway has closed is asked of the kernel: who does not read does not see it. */
async function play(gateway, sessions, victims, { what, attack, limitMs, count }) {
  const allowedMs = limitMs + LENIENCE_MS;
  const before = connectionsAt(gateway.url);
  const load = playLoad(sessions, allowedMs);
  const startMs = performance.now();
  const attackers = Array.from({ length: count }, (_value, index) =>
    attack(gateway.url, victims[index % victims.length].headers, index),
  );
  const isOpen = await until(() => connectionsAt(gateway.url) >= before + count - SPARE, 5_000);
  const isClosed = await until(
    () => connectionsAt(gateway.url) <= before + SPARE,
    startMs + allowedMs - performance.now(),
  );
  const tookMs = performance.now() - startMs;
  const left = Math.max(0, connectionsAt(gateway.url) - before);
  const timeouts = attackers.filter(({ text }) => text.includes(" 408 ")).length;
  const { answered, lost, callMs } = await load;
  for (const { socket } of attackers) socket.destroy();
  return [
    {
      what: `${count} × ${what}`,
      figure: isClosed
        ? `closed after ${milliseconds(tookMs)}, ${timeouts} told 408`
        : `${left} connections more than before`,
      limit: `held, then closed within ${milliseconds(allowedMs)}`,
      isMet: isOpen && isClosed,
    },
    {
      what: `calls beside ${what}`,
      figure: `${answered} answered, ${lost} lost, p99 ${milliseconds(quantile(callMs, 0.99))}`,
      limit: "< 1 % lost",
      isMet: lost < answered / 100,
    },
  ];
}

/** One header after the other, and never the end. */
function slowHeaders(url) {
  const { host, pathname } = new URL(url);
  return attackWith(
    url,
    `POST ${pathname} HTTP/1.1\r\nHost: ${host}\r\n`,
    () => `X-${Date.now()}: slow\r\n`,
  );
}

function slowBody(url, headers) {
  return attackWith(url, `${headOf("POST", url, headers)}Content-Length: 4096\r\n\r\n{`, () => " ");
}

/** Asks for much and takes none of it. */
function readsNothing(url, headers, index) {
  const params = { name: "deaf_big", arguments: { bytes: DEAF_BYTES } };
  const body = JSON.stringify({
    jsonrpc: "2.0",
    id: `deaf-${index}`,
    method: "tools/call",
    params,
  });
  const head = headOf("POST", url, headers);
  return attackWith(url, `${head}Content-Length: ${body.length}\r\n\r\n${body}`);
}

function headOf(method, url, headers) {
  const { host, pathname } = new URL(url);
  const own = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${pathname} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n${own.join("")}`;
}

/** Without `next` the connection never reads. */
function attackWith(url, first, next) {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port) });
  const attacker = { socket, text: "" };
  const timer = next === undefined ? undefined : setInterval(() => socket.write(next()), 500);
  socket.on("error", () => {});
  socket.on("close", () => clearInterval(timer));
  if (next === undefined) socket.pause();
  else socket.setEncoding("latin1").on("data", (text) => (attacker.text += text));
  socket.write(first);
  return attacker;
}

async function playLoad(sessions, durationMs) {
  const tally = { answered: 0, lost: 0, callMs: [] };
  const endMs = performance.now() + durationMs;
  await Promise.all(
    sessions.map(async (session) => {
      while (performance.now() < endMs) {
        try {
          const { text, ms } = await session.call("sound_echo", { text: "hello" });
          if (text !== "hello") throw new Error("a wrong answer");
          tally.answered += 1;
          tally.callMs.push(ms);
        } catch {
          tally.lost += 1;
        }
        await delay(25);
      }
    }),
  );
  return tally;
}
