import { mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { expect, onTestFinished, test } from "vitest";
import { createVmcp } from "../../../src/app/create-vmcp.ts";
import { ConfigError } from "../../../src/config/problems.ts";
import { CERTIFICATE } from "../../support/backend/certificate.ts";
import { startStatelessBackend } from "../../support/backend/stateless-backend.ts";
import { startHttpLedger } from "../../support/ledger-backend.ts";
import { startStdioLedger, type LedgerChild } from "../../support/ledger-stdio.ts";
import { openRawSession } from "../../support/raw-client.ts";
import {
  call,
  callText,
  postCall,
  probedStatusOf,
  startHanging,
  startKnobs,
  toolNamesOf,
} from "./knob-gateway.ts";
import { startTlsFront } from "./wire.ts";

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(await realpath(tmpdir()), "vmcp-knobs-"));
  onTestFinished(async () => rm(folder, { recursive: true, force: true }));
  return folder;
}

test("backends[].name: is its name in the status and the prefix of its tools", async () => {
  await using ledger = await startHttpLedger();
  await using gateway = await startKnobs({
    backends: [{ name: "shelf", url: ledger.url }],
    aggregation: { conflictResolution: "prefix" },
  });
  const session = await openRawSession(gateway.url);

  expect(await probedStatusOf(gateway)).toMatchObject({ name: "shelf", state: "healthy" });
  expect(await toolNamesOf(session)).toContain("shelf_count");
});

test("backends[].url: decides which backend is called", async () => {
  await using one = await startHttpLedger({ name: "one" });
  await using two = await startHttpLedger({ name: "two" });
  const answers: (string | undefined)[] = [];

  for (const { url } of [one, two]) {
    await using gateway = await startKnobs({ backends: [{ name: "b1", url }] });
    answers.push(await callText(await openRawSession(gateway.url), "whoami"));
  }

  expect(answers).toEqual([expect.stringMatching(/^one /), expect.stringMatching(/^two /)]);
});

test("backends[].transport: names the transport, and does not put up with the fields of another", async () => {
  await using ledger = await startHttpLedger();
  await using stdio = await startStdioLedger();
  const run = { command: stdio.command, args: [...stdio.args] };

  await using over = await startKnobs({
    backends: [{ name: "b1", url: ledger.url, transport: "streamable" }],
  });
  await using child = await startKnobs({ backends: [{ name: "b1", ...run, transport: "stdio" }] });
  const mixed = async () =>
    createVmcp({ backends: [{ name: "b1", ...run, transport: "streamable-http" }] });

  expect(await probedStatusOf(over)).toMatchObject({
    transport: "streamable-http",
    state: "healthy",
  });
  expect(await probedStatusOf(child)).toMatchObject({ transport: "stdio", state: "healthy" });
  await expect(mixed()).rejects.toBeInstanceOf(ConfigError);
});

test("backends[].allowInsecureHttp: permits a public address without TLS", async () => {
  const backend = { name: "b1", url: "http://mcp.example.com/mcp" };

  const refused = createVmcp({ backends: [backend] });
  const permitted = createVmcp({ backends: [{ ...backend, allowInsecureHttp: true }] });

  await expect(refused).rejects.toBeInstanceOf(ConfigError);
  await (await permitted).close();
});

test("backends[].headers: reach the backend with every request", async () => {
  await using ledger = await startHttpLedger();
  await using gateway = await startKnobs({
    backends: [{ name: "b1", url: ledger.url, headers: { "X-Team": "blue" } }],
  });
  const session = await openRawSession(gateway.url);

  await callText(session, "count");
  await session.delete();

  const teams = ledger.requests.map(({ headers }) => headers["x-team"]);
  expect(new Set(teams)).toEqual(new Set(["blue"]));
  expect(ledger.requests.map(({ method }) => method)).toContain("DELETE");
});

test("backends[].caBundlePath: makes a certificate acceptable that nobody knows", async () => {
  await using ledger = await startHttpLedger();
  await using front = await startTlsFront(ledger.port);
  const caBundlePath = join(await temporaryFolder(), "ca.pem");
  await writeFile(caBundlePath, CERTIFICATE);
  const backend = { name: "b1", url: `https://localhost:${front.port}/mcp` };
  await using plain = await startKnobs({ backends: [backend] });
  await using trusting = await startKnobs({ backends: [{ ...backend, caBundlePath }] });

  const session = await openRawSession(trusting.url);

  expect(await probedStatusOf(plain)).toMatchObject({
    state: "unhealthy",
    reason: expect.stringContaining("securely"),
  });
  expect(await callText(session, "count")).toBe("1");
});

const CHILD_ROWS = [
  ["backends[].command: is the program that runs", "flat", "command"],
  ["backends[].args: are what the program is given", "flat", "args"],
  ["backends[].env: is what the program finds in its environment", "flat", "env"],
  ["backends[].cwd: is the folder that the program runs in", "flat", "cwd"],
  ["backends[].stdio.command: is the program that runs", "block", "command"],
  ["backends[].stdio.args: are what the program is given", "block", "args"],
  ["backends[].stdio.env: is what the program finds in its environment", "block", "env"],
  ["backends[].stdio.cwd: is the folder that the program runs in", "block", "cwd"],
] as const;

type ChildField = (typeof CHILD_ROWS)[number][2];

/** What is seen of a child: undefined where none was started. */
const SEEN_OF_CHILD = {
  command: (child) => (child === undefined ? undefined : "started"),
  args: (child) => (child?.grandchildPid === undefined ? undefined : "a grandchild"),
  env: (child) => child?.env.get("KNOB"),
  cwd: (child) => child?.cwd,
} satisfies Record<ChildField, (child: LedgerChild | undefined) => string | undefined>;

test.for(CHILD_ROWS)("%s", async ([_title, form, field]) => {
  await using ledger = await startStdioLedger();
  const folder = await temporaryFolder();
  const base = { command: ledger.command, args: [...ledger.args] };
  const values = {
    command: { changed: join(folder, "no-such-program"), seen: ["started", undefined] },
    args: { changed: [...ledger.args, "grandchild"], seen: [undefined, "a grandchild"] },
    env: { changed: { KNOB: "turned" }, seen: [undefined, "turned"] },
    cwd: { changed: folder, seen: [process.cwd(), folder] },
  } satisfies Record<ChildField, { changed: unknown; seen: readonly unknown[] }>;
  const seen: unknown[] = [];

  for (const run of [base, { ...base, [field]: values[field].changed }]) {
    const before = ledger.children.length;
    const backend = form === "flat" ? { name: "b1", ...run } : { name: "b1", stdio: run };
    await using gateway = await startKnobs({ backends: [backend] });
    await gateway.vmcp.probed();
    seen.push(SEEN_OF_CHILD[field](ledger.children[before]));
  }

  expect(seen).toEqual(values[field].seen);
});

test("backends[].isolation: decides whether calls of a session share a backend session", async () => {
  await using ledger = await startHttpLedger();
  const counts: (readonly (string | undefined)[])[] = [];

  for (const isolation of ["session", "request"] as const) {
    await using gateway = await startKnobs({
      backends: [{ name: "b1", url: ledger.url, isolation }],
    });
    const session = await openRawSession(gateway.url);
    counts.push([await callText(session, "count"), await callText(session, "count")]);
  }

  expect(counts).toEqual([
    ["1", "2"],
    ["1", "1"],
  ]);
});

test("backends[].revision: is what the backend is offered", async () => {
  await using ledger = await startHttpLedger();
  const offered: unknown[] = [];

  for (const revision of ["auto", "2025-03-26"] as const) {
    await using gateway = await startKnobs({
      backends: [{ name: "b1", url: ledger.url, revision }],
    });
    await gateway.vmcp.probed();
    const [first] = ledger.ledger.initializes.splice(0);
    offered.push(JSON.parse(first?.text ?? "null"));
  }

  expect(offered).toMatchObject([
    { params: { protocolVersion: "2025-11-25" } },
    { params: { protocolVersion: "2025-03-26" } },
  ]);
});

test("backends[].revision: 2026-07-28 asks for no session, where auto would ask whether it must", async () => {
  await using backend = await startStatelessBackend({ servesSessions: true });
  const asked: (readonly string[])[] = [];

  for (const revision of ["2026-07-28", "2025-11-25", "auto"] as const) {
    const before = backend.methods.length;
    await using gateway = await startKnobs({
      backends: [{ name: "b1", url: backend.url, revision }],
    });
    await gateway.vmcp.probed();
    asked.push(backend.methods.slice(before, before + 2));
  }

  expect(asked.map(([first]) => first)).toEqual([
    "server/discover",
    "initialize",
    "server/discover",
  ]);
  expect(asked[1]).toEqual(["initialize", "notifications/initialized"]);
});

test("backends[].maxConcurrentCalls: refuses what is more at this backend, and at no other", async () => {
  await using one = await startHttpLedger();
  await using two = await startHttpLedger();
  await using gateway = await startKnobs({
    backends: [
      { name: "one", url: one.url, maxConcurrentCalls: 1 },
      { name: "two", url: two.url },
    ],
  });
  const session = await openRawSession(gateway.url);

  await startHanging(session, one, "one_hang");
  await startHanging(session, two, "two_hang");
  const refused = await call(session, "one_count");

  expect(refused.error?.data).toMatchObject({ kind: "backend_busy", backend: "one" });
  expect((await postCall(session, "two_count")).status).toBe(200);
});

test("backends[].maxConcurrentCalls: lets as many calls through as it says, however many those are", async () => {
  const calls = 300;
  await using ledger = await startHttpLedger();
  await using gateway = await startKnobs({
    backends: [{ name: "b1", url: ledger.url, maxConcurrentCalls: calls }],
    limits: { callsPerProcess: calls, callsPerSession: calls },
  });
  const session = await openRawSession(gateway.url);

  await Promise.all(Array.from({ length: calls }, async () => startHanging(session, ledger)));

  await expect.poll(() => ledger.ledger.calls.length).toBe(calls);
});
