import { connect } from "node:net";
import {
  delay,
  descriptorsOf,
  get,
  milliseconds,
  startBackend,
  startGateway,
  until,
} from "./parts.mjs";
import { newAgent, Session } from "./session.mjs";

export const title = "400 clients on a gateway that may open 256 files";

const CLIENTS = 400;
const FILES = 256;

export async function run({ isFull }) {
  const backend = await startBackend();
  const gateway = await startGateway({
    backends: [{ name: "b1", url: backend.url }],
    wrap: ["prlimit", `--nofile=${FILES}`],
  });
  const held = newAgent();
  await get(`${gateway.origin}/health`, { agent: held });
  const clients = Array.from({ length: CLIENTS }, () => holdConnection(gateway.url));
  const endMs = performance.now() + (isFull ? 60_000 : 10_000);
  const health = { asked: 0, failed: 0, slowestMs: 0 };
  let peak = 0;
  while (performance.now() < endMs) {
    const answer = await get(`${gateway.origin}/health`, { agent: held, timeoutMs: 5_000 }).catch(
      () => undefined,
    );
    health.asked += 1;
    if (answer?.status === 200) health.slowestMs = Math.max(health.slowestMs, answer.ms);
    else health.failed += 1;
    peak = Math.max(peak, descriptorsOf(gateway.pid));
    await delay(200);
  }
  const open = clients.filter(({ state }) => state === "open").length;
  const served = clients.filter(({ answered }) => answered).length;
  const refused = clients.filter(({ state }) => state === "closed").length;
  const hanging = CLIENTS - served - refused;
  for (const { socket } of clients) socket.destroy();

  const startMs = performance.now();
  const agent = newAgent();
  const isBack = await until(async () => {
    const session = new Session(gateway.url, { agent });
    const text = await session
      .open()
      .then(async () => (await session.call("b1_echo", { text: "back" })).text)
      .catch(() => undefined);
    return text === "back";
  }, 10_000);
  const backMs = performance.now() - startMs;
  const isAlive = gateway.child.exitCode === null && gateway.child.signalCode === null;
  held.destroy();
  agent.destroy();
  return [
    {
      what: "connections",
      figure: `${served} answered, of which ${open} still open; ${refused} closed; ${hanging} without any answer`,
      limit: "answered or closed, none hangs",
      isMet: hanging === 0 && refused > 0,
    },
    {
      what: "descriptors at most",
      figure: `${peak} of ${FILES}`,
      limit: "below",
      isMet: peak < FILES,
    },
    {
      what: "/health on a connection that was there",
      figure: `${health.failed} of ${health.asked} failed, slowest ${milliseconds(health.slowestMs)}`,
      limit: "all answered",
      isMet: health.failed === 0,
    },
    { what: "the process", figure: isAlive ? "lives" : "ended", limit: "lives", isMet: isAlive },
    {
      what: "a new session and a call once they have left",
      figure: isBack ? `after ${milliseconds(backMs)}` : "refused for 10 s",
      limit: "within 5 s",
      isMet: isBack && backMs <= 5_000,
    },
  ];
}

/** Begins a session and keeps its connection busy, so that it is not closed as an idle one. */
function holdConnection(url) {
  const { hostname, port, pathname, host } = new URL(url);
  const params = {
    protocolVersion: "2025-11-25",
    capabilities: {},
    clientInfo: { name: "rows", version: "1.0.0" },
  };
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params });
  const request = `POST ${pathname} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const socket = connect({ host: hostname, port: Number(port) });
  const client = { socket, state: "open", answered: false };
  const timer = setInterval(
    () => socket.write(`GET /health HTTP/1.1\r\nHost: ${host}\r\n\r\n`),
    1_000,
  );
  socket.on("data", () => (client.answered = true));
  socket.on("error", () => {});
  socket.on("close", () => {
    client.state = "closed";
    clearInterval(timer);
  });
  socket.write(request);
  return client;
}
