// The gateways that a table has rows for: how each is started before the bench's backend, and which processes it is.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { listenerOn, treeOf } from "./cpu-time.mjs";
import { installPeers, peerFile } from "./peers.mjs";
import {
  FOLDER,
  freePort,
  GATEWAY_CORE,
  OTHER_CORE,
  pathOf,
  pinned,
  startServer,
  stop,
  waitFor,
} from "./processes.mjs";

const FOREIGN_START_TIMEOUT_MS = 60_000;
const BACKEND_FILE = pathOf("backend.mjs");

export const CLI = pathOf("../../dist/cli/bin.js");
export const PASS_THROUGH = "pass-through";

/**
 * All that the options and the load ask for, the pass-through first. Each has `name`, `isOurs` (a wrong answer fails
 * the run) and `start(backends, page)`, which resolves with `{url, transport, pids(), stop()}`.
 */
export function candidatesFor({ only, peers, gateway, profile }, revisions, load) {
  // The others have one backend only.
  const isForOne = load.backends === undefined;
  const all = [
    { name: PASS_THROUGH, isOurs: true, start: startBehind("pass-through.mjs") },
    vmcp("vmcp", { profile }),
    load.withChecked === true &&
      vmcp("vmcp, arguments checked", { settings: { validateArguments: true } }),
    ...revisions.map(({ name, cli }) => vmcp(`vmcp ${name}`, { cli })),
    isForOne && { name: "SDK gateway", isOurs: true, start: startBehind("sdk-gateway.mjs") },
    ...(peers && isForOne ? PEERS : []),
    ...(isForOne ? gateway.map(foreign) : []),
  ];
  const wanted = new RegExp(only, "i");
  return all.filter(Boolean).filter(({ name }) => name === PASS_THROUGH || wanted.test(name));
}

function vmcp(name, how) {
  return { name, isOurs: true, start: async (backends) => startVmcp({ ...how, backends }) };
}

let configs = 0;

/**
 * Starts `vmcp serve` with a prefix before every name and sessions of their own; all else is as by default. `backends`
 * are URLs, `settings` hold for each of them, `operational` besides; `serveArgs` are further options of `serve`; `profile`
 * is a folder for what --cpu-prof writes.
 */
export async function startVmcp({
  cli = CLI,
  backends,
  settings = {},
  operational = {},
  nodeArgs = [],
  serveArgs = [],
  env = {},
  profile,
}) {
  configs += 1;
  const file = join(FOLDER, `vmcp-${configs}.yaml`);
  const config = {
    backends: backends.map((url, index) => ({
      name: `b${index + 1}`,
      url,
      transport: "streamable-http",
      ...settings,
    })),
    aggregation: { conflictResolution: "prefix" },
    operational: { sessionManagementV2: true, ...operational },
  };
  // JSON is YAML too.
  writeFileSync(file, JSON.stringify(config));
  const profiling = profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`];
  const args = [...nodeArgs, ...profiling, cli, "serve", file, "--port", "0", ...serveArgs];
  return owned(await startServer(args, { core: GATEWAY_CORE, env }));
}

function owned(server, transport = "http", without) {
  return {
    ...server,
    transport,
    pids: () => treeOf(server.child.pid, without),
    stop: async () => stop(server),
  };
}

function startBehind(file) {
  return async ([backend], page = backend) =>
    owned(await startServer([pathOf(file), "--backend", page]));
}

/** One that somebody else started. Nothing is known of it but where it is; it is waited for, not ended. */
function foreign(text) {
  const at = text.indexOf("=");
  const [name, url] = [text.slice(0, at), text.slice(at + 1)];
  return {
    name,
    isOurs: false,
    async start() {
      const answers = async () => {
        const answer = await fetch(url, { method: "OPTIONS" }).catch(() => undefined);
        return answer === undefined ? undefined : true;
      };
      await waitFor(answers, FOREIGN_START_TIMEOUT_MS, `nothing answers at ${url}`);
      const pid = listenerOn(Number(new URL(url).port));
      const pids = () => (pid === undefined ? [] : treeOf(pid));
      return { url, transport: "http", pids, stop: async () => {} };
    },
  };
}

/**
 * Those of npm. Two of them only put a stdio server on the network, so that the backend is their child: it is kept on
 * the core of the backends, and its time is not counted.
 */
const PEERS = [
  {
    name: "mcp-proxy",
    async start() {
      const port = await freePort();
      const options = ["--host", "127.0.0.1", "--port", String(port), "--server", "stream"];
      return startPeer("mcp-proxy/dist/bin/mcp-proxy.mjs", port, [
        ...options,
        "--",
        ...stdioBackend(),
      ]);
    },
  },
  {
    name: "supergateway",
    async start() {
      const port = await freePort();
      const stdio = [
        "--stdio",
        stdioBackend().join(" "),
        "--logLevel",
        "none",
        "--port",
        String(port),
      ];
      const options = [...stdio, "--outputTransport", "streamableHttp", "--stateful"];
      return startPeer("supergateway/dist/index.js", port, options);
    },
  },
  {
    name: "mcp-hub",
    async start([backend]) {
      const port = await freePort();
      const config = join(FOLDER, `hub-${port}.json`);
      writeFileSync(config, JSON.stringify({ mcpServers: { b1: { url: backend } } }));
      const options = ["--port", String(port), "--config", config];
      // It serves the transport of 2024-11-05 only.
      return startPeer("mcp-hub/dist/cli.js", port, options, "sse");
    },
  },
].map((peer) => ({ ...peer, isOurs: false }));

async function startPeer(file, port, options, transport = "http") {
  installPeers();
  const home = join(FOLDER, `home-${port}`);
  mkdirSync(home, { recursive: true });
  // What they keep in a home is not for that of whoever runs the bench.
  const env = { HOME: home, XDG_CONFIG_HOME: home, XDG_STATE_HOME: home, XDG_DATA_HOME: home };
  const url = `http://127.0.0.1:${port}/mcp`;
  const server = await startServer([peerFile(file), ...options], { env, url, cwd: home });
  return owned(server, transport, BACKEND_FILE);
}

function stdioBackend() {
  return pinned([BACKEND_FILE, "--stdio"], OTHER_CORE);
}
