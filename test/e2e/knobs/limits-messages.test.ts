import { expect, test } from "vitest";
import type { JsonObject } from "../../../src/domain/json.ts";
import { postMessage } from "../../support/raw-client.ts";
import { INITIALIZE, startKnobs } from "./knob-gateway.ts";

const UNREACHED = { backends: [{ name: "b1", url: "http://127.0.0.1:1/mcp" }] };

/** `initialize`, made that long by spaces. */
function paddedTo(bytes: number): string {
  return JSON.stringify(INITIALIZE).padEnd(bytes, " ");
}

/** `initialize` with so many levels of objects, the message itself among them. */
function nested(levels: number): string {
  const filling = `${'{"a":'.repeat(levels - 3)}{}${"}".repeat(levels - 3)}`;
  const params = `{"protocolVersion":"2025-11-25","capabilities":${filling},"clientInfo":{}}`;
  return `{"jsonrpc":"2.0","id":1,"method":"initialize","params":${params}}`;
}

function padding(bytes: number): Readonly<Record<string, string>> {
  return { "x-padding": "p".repeat(bytes) };
}

function withId(length: number): JsonObject {
  return { ...INITIALIZE, id: "i".repeat(length) };
}

test("limits.requestBytes: takes as much and not a byte more", async () => {
  await using gateway = await startKnobs({ ...UNREACHED, limits: { requestBytes: 2_048 } });
  await using usual = await startKnobs(UNREACHED);

  expect((await postMessage(gateway.url, paddedTo(2_048))).status).toBe(200);
  expect((await postMessage(gateway.url, paddedTo(2_049))).status).toBe(413);
  expect((await postMessage(usual.url, paddedTo(2_049))).status).toBe(200);
});

test("limits.headerBytes: refuses a longer block of headers", async () => {
  await using gateway = await startKnobs({ ...UNREACHED, limits: { headerBytes: "2KiB" } });
  await using usual = await startKnobs(UNREACHED);

  expect((await postMessage(gateway.url, INITIALIZE, padding(1_024))).status).toBe(200);
  expect((await postMessage(gateway.url, INITIALIZE, padding(2_048))).status).toBe(431);
  expect((await postMessage(usual.url, INITIALIZE, padding(2_048))).status).toBe(200);
});

test("limits.jsonDepth: takes as many levels and not one more", async () => {
  await using gateway = await startKnobs({ ...UNREACHED, limits: { jsonDepth: 8 } });
  await using usual = await startKnobs(UNREACHED);

  expect((await postMessage(gateway.url, nested(8))).status).toBe(200);
  expect((await postMessage(gateway.url, nested(9))).status).toBe(400);
  expect((await postMessage(usual.url, nested(9))).status).toBe(200);
});

test("limits.idLength: takes as many characters and not one more", async () => {
  await using gateway = await startKnobs({ ...UNREACHED, limits: { idLength: 8 } });
  await using usual = await startKnobs(UNREACHED);

  expect((await postMessage(gateway.url, withId(8))).status).toBe(200);
  expect((await postMessage(gateway.url, withId(9))).status).toBe(400);
  expect((await postMessage(usual.url, withId(9))).status).toBe(200);
});
