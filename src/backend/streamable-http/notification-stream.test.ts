import { expect, test, vi } from "vitest";
import { connectTo } from "../../../test/support/backend/connecting.ts";
import { sendEvent, startEvents } from "../../../test/support/backend/http-backend.ts";

test("the notification stream is opened when asked for and hands on what it carries", async () => {
  const { connection, backend, heard } = await connectTo({
    sessionId: "s",
    get: (response) => {
      startEvents(response);
      response.write("data: nonsense\n\n");
      sendEvent(response, { jsonrpc: "2.0", method: "notifications/tools/list_changed" });
      sendEvent(response, { jsonrpc: "2.0", id: 3, result: {} });
      sendEvent(response, { jsonrpc: "2.0", id: 4, method: "roots/list" });
    },
  });
  const getsBefore = backend.of("GET").length;

  connection.openNotifications();
  connection.openNotifications();
  await expect.poll(() => heard.messages.length).toBe(2);

  expect(getsBefore).toBe(0);
  expect(backend.of("GET")).toHaveLength(1);
  expect(backend.of("GET")[0]?.headers).toMatchObject({
    accept: "text/event-stream",
    "mcp-session-id": "s",
    "mcp-protocol-version": "2025-11-25",
  });
  expect(heard.messages.map(({ message }) => message.method)).toEqual([
    "notifications/tools/list_changed",
    "roots/list",
  ]);
});

test("a broken notification stream is opened again where it broke", async () => {
  let gets = 0;
  const { connection, backend, heard } = await connectTo({
    get: (response) => {
      gets += 1;
      startEvents(response);
      response.write("id: e7\nretry: 1\ndata:\n\n");
      if (gets === 1) response.end();
      else sendEvent(response, { jsonrpc: "2.0", method: "notifications/x" });
    },
  });

  connection.openNotifications();
  await expect.poll(() => heard.messages.length).toBe(1);

  expect(backend.of("GET")).toHaveLength(2);
  expect(backend.of("GET")[1]?.headers["last-event-id"]).toBe("e7");
});

test("a backend that offers no notification stream is asked once", async () => {
  const warn = vi.fn<() => void>();
  const logger = { debug() {}, info() {}, warn, error() {} };
  const { connection, backend } = await connectTo({}, { logger });

  connection.openNotifications();
  await expect.poll(() => backend.of("GET").length).toBe(1);
  connection.openNotifications();
  await connection.listCapabilities(new AbortController().signal);

  expect(backend.of("GET")).toHaveLength(1);
  expect(warn).not.toHaveBeenCalled();
});

test("a session that is lost on the notification stream is reported", async () => {
  const { connection, heard } = await connectTo({
    sessionId: "s",
    get: (response) => void response.writeHead(404).end(),
  });

  connection.openNotifications();

  await expect.poll(() => heard.losses.map(({ code }) => code)).toEqual(["backend_session_lost"]);
});
