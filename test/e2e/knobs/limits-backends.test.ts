import { expect, test } from "vitest";
import type { VmcpConfigInput } from "../../../src/config/load-config.ts";
import type { LedgerScript } from "../../support/ledger-script.ts";
import { startHttpLedger } from "../../support/ledger-backend.ts";
import { startStdioLedger } from "../../support/ledger-stdio.ts";
import { openRawSession } from "../../support/raw-client.ts";
import { call, startKnobs, toolEntry, toolNamesOf, type Answer } from "./knob-gateway.ts";

type Limits = NonNullable<VmcpConfigInput["limits"]>;

/** What stands around the result of the first request of a raw session. */
const ENVELOPE = '{"jsonrpc":"2.0","id":1,"result":}';

/** A backend with one tool, whose whole answer is so many bytes long. */
function answering(bytes: number): Partial<LedgerScript> {
  const empty = '{"content":[{"type":"text","text":""}]}';
  const text = "x".repeat(bytes - ENVELOPE.length - empty.length);
  const result = JSON.stringify({ content: [{ type: "text", text }] });
  const tools = [toolEntry("answer")];
  return { hasBuiltInTools: false, tools, results: new Map([["answer", result]]) };
}

function streaming(bytes: number): Partial<LedgerScript> {
  return { ...answering(bytes), answerAs: "sse" };
}

async function overHttp(script: Partial<LedgerScript>, limits: Limits): Promise<Answer> {
  await using ledger = await startHttpLedger(script);
  await using gateway = await startKnobs({ backends: [{ name: "b1", url: ledger.url }], limits });
  return await call(await openRawSession(gateway.url), "answer");
}

async function overStdio(script: Partial<LedgerScript>, limits: Limits): Promise<Answer> {
  await using ledger = await startStdioLedger(script);
  const backend = { name: "b1", command: ledger.command, args: [...ledger.args] };
  await using gateway = await startKnobs({ backends: [backend], limits });
  return await call(await openRawSession(gateway.url), "answer");
}

const TOO_LARGE = { error: { data: { kind: "backend_too_large", backend: "b1" } } };

test("limits.backendResponseBytes: takes as much in one answer and not a byte more", async () => {
  const limits = { backendResponseBytes: 2_048 };

  expect(await overHttp(answering(2_048), limits)).toHaveProperty("result");
  expect(await overHttp(answering(2_049), limits)).toMatchObject(TOO_LARGE);
  expect(await overHttp(answering(2_049), {})).toHaveProperty("result");
});

test("limits.sseEventBytes: refuses a longer event", async () => {
  const limits = { sseEventBytes: "4KiB" };

  expect(await overHttp(streaming(3_072), limits)).toHaveProperty("result");
  expect(await overHttp(streaming(4_097), limits)).toMatchObject(TOO_LARGE);
  expect(await overHttp(streaming(4_097), {})).toHaveProperty("result");
});

test("limits.stdioLineBytes: takes as much in one line and not a byte more", async () => {
  const limits = { stdioLineBytes: 2_048 };

  expect(await overStdio(answering(2_048), limits)).toHaveProperty("result");
  expect(await overStdio(answering(2_049), limits)).toMatchObject(TOO_LARGE);
  expect(await overStdio(answering(2_049), {})).toHaveProperty("result");
});

async function listed(tools: readonly string[], limits: Limits): Promise<readonly unknown[]> {
  await using ledger = await startHttpLedger({ hasBuiltInTools: false, tools });
  await using gateway = await startKnobs({ backends: [{ name: "b1", url: ledger.url }], limits });
  return await toolNamesOf(await openRawSession(gateway.url));
}

/** Title, the limit, and three tools of which the last is one past it. */
const LIST_ROWS: readonly (readonly [string, Limits, readonly string[]])[] = [
  [
    "limits.toolsPerBackend: lists as many of its tools and not one more",
    { toolsPerBackend: 2 },
    ["a", "b", "c"].map((name) => toolEntry(name)),
  ],
  [
    "limits.nameLength: lists names of as many characters and not one more",
    { nameLength: 16 },
    ["a", "b".repeat(16), "c".repeat(17)].map((name) => toolEntry(name)),
  ],
  [
    "limits.descriptionBytes: lists descriptions of as many bytes and not one more",
    { descriptionBytes: 32 },
    // Two bytes more for the quotes.
    [toolEntry("a"), ...[30, 31].map((length) => described(`d${length}`, length))],
  ],
  [
    "limits.schemaBytes: lists schemas of as many bytes and not one more",
    { schemaBytes: 17 },
    [
      '{"name":"a","inputSchema":{}}',
      '{"name":"b","inputSchema":{"type":"object"}}',
      '{"name":"c","inputSchema":{"type": "object"}}',
    ],
  ],
];

function described(name: string, length: number): string {
  return toolEntry(name, { description: "d".repeat(length) });
}

test.for(LIST_ROWS)("%s", async ([_title, limits, tools]) => {
  const limited = await listed(tools, limits);
  const usual = await listed(tools, {});

  expect(usual).toHaveLength(3);
  expect(limited).toEqual(usual.slice(0, 2));
});
