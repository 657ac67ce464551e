import { expect, test } from "vitest";
import { connectV2, textOf } from "../support/clients.ts";
import { startGateway } from "../support/gateway.ts";
import { startHttpLedger } from "../support/ledger-backend.ts";
import { startFixtureBackend } from "./fixture-backend.mjs";

test("the backend's own stream is open when the client's first call arrives", async () => {
  await using backend = await startHttpLedger();
  const openStreams: number[] = [];
  backend.interceptWith((_request, body) => {
    if (body.includes('"tools/call"')) openStreams.push(backend.openStreams);
    return false;
  });
  await using gateway = await startGateway({
    backends: [{ name: "ledger", url: backend.url, transport: "streamable-http" }],
  });
  await using connected = await connectV2(gateway.url);

  await connected.client.callTool({ name: "whoami", arguments: {} });

  expect(openStreams).toEqual([1]);
});

test("a call whose stream the backend closes is answered on the resumed one", async () => {
  await using backend = await startFixtureBackend();
  await using gateway = await startGateway({
    backends: [{ name: "fixture", url: backend.url, transport: "streamable-http" }],
  });
  await using connected = await connectV2(gateway.url);

  const result = await connected.client.callTool({ name: "test_reconnection", arguments: {} });

  expect(textOf(result)).toBe("Answered after the stream was closed");
});
