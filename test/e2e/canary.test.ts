import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { expect, test } from "vitest";
import { stringify } from "yaml";
import { main } from "../../src/cli/main.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import { auditFile } from "../support/audit-records.ts";
import { Canaries } from "../support/canaries.ts";
import { fakeTerminal } from "../support/fake-terminal.ts";
import { startHttpLedger, type HttpLedger } from "../support/ledger-backend.ts";
import { startStdioLedger } from "../support/ledger-stdio.ts";
import { waitFor } from "../support/quiescence.ts";
import { openRawSession, postMessage, sendRaw, type RawAnswer } from "../support/raw-client.ts";
import { startVmcp, type VmcpProcess } from "../support/vmcp-process.ts";
import { INITIALIZE } from "./knobs/knob-gateway.ts";

/** Processes start and end, and backends that are down are waited for. */
const LONG = { timeout: 60_000 };

/** Everything that came out of anything, by what it came out of. */
class Outputs {
  readonly #texts = new Map<string, string>();

  add(name: string, text: string): void {
    this.#texts.set(name, `${this.#texts.get(name) ?? ""}${text}\n`);
  }

  answer(name: string, { text, headers }: RawAnswer): void {
    // A client is to know its own session.
    this.add(name, `${text} ${JSON.stringify({ ...headers, "mcp-session-id": undefined })}`);
  }

  get all(): ReadonlyMap<string, string> {
    return this.#texts;
  }
}

test(
  "no secret comes out of anything, whatever is done, logged at the lowest level [I9]",
  LONG,
  async () => {
    const canaries = new Canaries();
    const outputs = new Outputs();
    const logFile = auditFile();
    await using one = await startHttpLedger({ name: "one" });
    await using two = await startHttpLedger({ name: "two" });
    await using program = await startStdioLedger({ name: "program" });
    await using broken = await startBroken();
    const env = {
      HEADER_KEY: canaries.at("header-by-reference"),
      INJECTED_KEY: canaries.at("injected-header"),
      QUERY_KEY: canaries.at("query"),
      PROGRAM_KEY: canaries.at("variable-by-reference"),
      CLIENT_KEY: canaries.at("api-key"),
    };
    const backends = [
      {
        name: "one",
        url: `${one.url}?key=\${env:QUERY_KEY}`,
        headers: { "X-Literal": canaries.at("literal-header"), "X-Key": "${env:HEADER_KEY}" },
      },
      { name: "two", url: two.url },
      {
        name: "program",
        command: program.command,
        args: [...program.args],
        env: { LITERAL_KEY: canaries.at("literal-variable"), KEY: "${env:PROGRAM_KEY}" },
      },
      {
        name: "broken",
        url: `${broken.url}?token=${canaries.at("query-of-a-broken-one")}`,
        headers: { authorization: `Bearer ${canaries.at("header-of-a-broken-one")}` },
      },
      {
        name: "down",
        url: `http://127.0.0.1:1/mcp?token=${canaries.at("query-of-one-that-is-down")}`,
      },
    ];
    const config = {
      backends,
      outgoingAuth: {
        backends: {
          two: {
            type: "header_injection",
            headerName: "X-Injected",
            headerValueEnv: "INJECTED_KEY",
          },
        },
      },
      incomingAuth: {
        type: "apiKey",
        apiKey: { keys: [{ id: "k1", secret: "${env:CLIENT_KEY}", subject: "alice" }] },
      },
      aggregation: { conflictResolution: "prefix" },
      operational: { sessionManagementV2: true, sessions: { drainDeadline: "200ms" } },
      audit: {
        enabled: true,
        logFile,
        includeRequestData: true,
        includeResponseData: true,
        maxDataSize: "1MiB",
      },
      lockFile: "vmcp.lock.json",
    };
    {
      await using vmcp = await startVmcp({
        config,
        configName: "vmcp.yaml",
        env,
        args: ["--log-level", "debug"],
      });
      await useAsClient(vmcp, env.CLIENT_KEY, canaries, outputs);
      await useAsOperator(vmcp, config, env, canaries, outputs);
      const { stdout, stderr } = await vmcp.stop("SIGTERM");
      outputs.add("standard output", stdout);
      outputs.add("standard error", stderr);
    }
    outputs.add("audit log", readFileSync(logFile, "utf8"));

    noteSessionIds([one, two], canaries);
    expect(canaries.places).toContain("backend-session-2");
    expect([...outputs.all.keys()].length).toBeGreaterThan(15);
    expect(outputs.all.get("audit log")).toContain("mcp_tool_call");
    expect(outputs.all.get("standard error")).toContain('"level":20');
    expect(canaries.escapedIn(outputs.all)).toEqual([]);
    expect(foreignSecrets(canaries, one, two)).toEqual([]);
  },
);

/** Calls that work and that fail in every way, as the client that has the key and as others. */
async function useAsClient(
  { url, origin }: VmcpProcess,
  key: string,
  canaries: Canaries,
  outputs: Outputs,
): Promise<void> {
  const headers = { authorization: `Bearer ${key}` };
  const stranger = { authorization: `Bearer ${canaries.at("key-of-a-stranger")}` };
  const session = await openRawSession(url, { headers });
  canaries.add("session", session.id);
  outputs.answer("initialize", session.initializeAnswer);
  const names = ["one_echo", "two_echo", "program_echo", "one_fail", "broken_echo", "down_echo"];
  for (const name of [...names, "unknown"]) {
    const params = { name, arguments: { text: "hello" } };
    // One after the other, so that what each came to can be told.
    // oxlint-disable-next-line no-await-in-loop
    outputs.add(`call ${name}`, JSON.stringify(await session.request("tools/call", params)));
  }
  const read = await session.request("resources/read", { uri: "x://unknown" });
  outputs.add("read", JSON.stringify(read));
  const list = await session.request("tools/list");
  outputs.add("list", JSON.stringify(list));
  outputs.answer("call by a stranger", await postMessage(url, INITIALIZE, stranger));
  const foreign = { ...stranger, "mcp-session-id": session.id };
  const ping: JsonObject = { jsonrpc: "2.0", id: 1, method: "ping" };
  outputs.answer("session of another", await postMessage(url, ping, foreign));
  outputs.answer("key in a query", await postMessage(`${url}?access_token=${key}`, ping));
  outputs.answer("no JSON", await postMessage(url, `{"${key}`, headers));
  for (const path of ["/status", "/status?config", "/readyz", "/health", "/nowhere"]) {
    // oxlint-disable-next-line no-await-in-loop
    outputs.answer(path, await sendRaw(new URL(path, origin).href, { headers }));
    // oxlint-disable-next-line no-await-in-loop
    outputs.answer(`${path} without a key`, await sendRaw(new URL(path, origin).href));
  }
}

/** Every command that reads the configuration, and reloads that work and that are refused. */
async function useAsOperator(
  vmcp: VmcpProcess,
  config: { readonly backends: readonly JsonObject[] },
  env: Readonly<Record<string, string>>,
  canaries: Canaries,
  outputs: Outputs,
): Promise<void> {
  const { folder, origin, configFile = "" } = vmcp;
  const working = join(folder, "working.yaml");
  const lockFile = join(folder, "vmcp.lock.json");
  const run = async (...args: readonly string[]): Promise<void> => {
    const terminal = fakeTerminal({ cwd: process.cwd(), env });
    await main(args, terminal);
    outputs.add(`vmcp ${args.join(" ")}`, terminal.out.text + terminal.err.text);
  };
  const { backends } = config;
  writeFileSync(working, stringify({ ...config, backends: backends.slice(0, 3), audit: {} }));
  await run("validate", configFile);
  await run("validate", configFile, "--json");
  await run("validate", configFile, "--against", origin);
  await run("list", configFile, "--json");
  await run("call", "--config", working, "one_echo", "text=hello", "--json");
  await run("call", "--config", configFile, "down_echo");
  await run("lock", working);
  await run("check", configFile, "--json");
  outputs.add("lock file", readFileSync(lockFile, "utf8"));

  const changed = canaries.at("header-after-a-reload");
  const next = { name: "next", url: "http://127.0.0.1:1/mcp", headers: { "x-key": changed } };
  writeFileSync(configFile, stringify({ ...config, backends: [...config.backends, next] }));
  await waitFor(() => vmcp.stdout.includes("configuration reloaded"));
  const wrong = `${canaries.at("text-in-a-broken-file")}: [`;
  writeFileSync(configFile, `backends:\n  - { name: x, url: "${changed}" }\n${wrong}\n`);
  await waitFor(() => vmcp.stdout.includes("not reloaded") || vmcp.stdout.includes("✖"));
  await run("validate", configFile);
  await run("serve", configFile, "--port", "0");
}

/** A backend that answers everything with an error which repeats what it was sent. */
async function startBroken(): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createServer((request, response) => {
    response.writeHead(500, { "content-type": "text/plain" });
    response.end(JSON.stringify([request.url, request.headers]));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  // A server that listens on TCP has an address object.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${String(port)}/mcp`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

/** Whoever knows the id of a backend session can use it. */
function noteSessionIds(backends: readonly HttpLedger[], canaries: Canaries): void {
  const sent = backends.flatMap(({ requests }) =>
    requests.map(({ headers }) => headers["mcp-session-id"]),
  );
  const ids = new Set(sent.filter((id) => typeof id === "string"));
  for (const [index, id] of [...ids].entries()) {
    canaries.add(`backend-session-${String(index + 1)}`, id);
  }
}

/** What of one backend was sent to the other, or of a client to either. */
function foreignSecrets(canaries: Canaries, one: HttpLedger, two: HttpLedger): readonly string[] {
  const escaped = canaries.escapedIn(
    new Map([
      ["one", JSON.stringify(one.requests)],
      ["two", JSON.stringify(two.requests)],
    ]),
  );
  const own = [
    "header-by-reference → one",
    "literal-header → one",
    "query → one",
    "injected-header → two",
  ];
  return escaped.filter((entry) => !own.includes(entry) && !entry.startsWith("backend-session-"));
}
