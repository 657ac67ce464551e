import { once } from "node:events";
import { createServer } from "node:net";
import { expect, test } from "vitest";
import { startHttpLedger } from "./ledger-backend.ts";
import { waitFor } from "./quiescence.ts";
import { lastMessage, openRawSession, sendBytes, sendRaw, startRaw } from "./raw-client.ts";

test("shows status, headers and exact body", async () => {
  await using ledger = await startHttpLedger();
  ledger.interceptWith((_request, _body, response) => {
    response.writeHead(418, { "x-kind": "teapot" }).end(" short\r\n and stout ");
    return true;
  });

  const answer = await sendRaw(ledger.url);

  expect(answer.status).toBe(418);
  expect(answer.headers["x-kind"]).toBe("teapot");
  expect(answer.text).toBe(" short\r\n and stout ");
});

test("shows events while the stream is open and none without data", async () => {
  await using ledger = await startHttpLedger();
  ledger.interceptWith((_request, _body, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write('id: 1\ndata: \n\nretry: 10\n\ndata: {"a":\ndata: 1}\n\ndata: {"cut');
    return true;
  });

  const answer = await startRaw(ledger.url);
  await waitFor(() => answer.text.endsWith("cut"));

  expect(answer.events).toEqual(['{"a":\n1}']);
  expect(lastMessage(answer)).toEqual({ a: 1 });
  answer.destroy();
});

test("an answer that is cut rejects at its end", async () => {
  await using ledger = await startHttpLedger();
  ledger.interceptWith((_request, _body, response) => {
    response.writeHead(200, { "content-length": "100" });
    response.write("half", () => response.destroy());
    return true;
  });

  const answer = await startRaw(ledger.url);

  await expect(answer.ended).rejects.toThrow("the answer was cut");
  expect(answer.text).toBe("half");
});

test("opens a session, hears its stream and ends it", async () => {
  await using ledger = await startHttpLedger();
  const session = await openRawSession(ledger.url, { capabilities: { roots: {} } });
  const stream = await session.openStream();
  await waitFor(() => ledger.openStreams === 1);

  ledger.notify("notifications/tools/list_changed");
  await waitFor(() => stream.events.length === 1);
  const deleted = await session.delete();

  expect(deleted.status).toBe(200);
  expect(ledger.sessions).toEqual([]);
  expect(ledger.ledger.initializes).toHaveLength(1);
  await stream.ended;
});

test("a refused initialize fails with what was answered", async () => {
  await using ledger = await startHttpLedger({ refuseWithStatus: 503 });

  await expect(openRawSession(ledger.url)).rejects.toThrow("no session: 503");
});

test("sends bytes as they are and returns what comes back until the close", async () => {
  const server = createServer((socket) => {
    socket.once("data", (data) => socket.end(`got ${data.toString("hex")}`));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? address?.port : 0;

  const received = await sendBytes(`http://127.0.0.1:${port}/`, Uint8Array.of(0, 255, 13));

  expect(received).toBe("got 00ff0d");
  server.close();
});
