import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import * as fc from "fast-check";
import { Pool } from "undici";
import { expect, test } from "vitest";
import { ConnectionPool } from "./connection-pool.ts";

type Outcome = { readonly status: number; readonly body: string } | "failed";

// Not those without a body: undici fails them for any length that they name.
const line = fc.constantFrom(
  "HTTP/1.1 200 OK",
  "HTTP/1.0 200 OK",
  "HTTP/1.1 404",
  "HTTP/2 200",
  "HTTP/1.1 2x0 OK",
);
const header = fc.constantFrom(
  "content-length: 3",
  "Content-Length: 0",
  "content-length: 3, 3",
  "content-length : 3",
  "transfer-encoding: chunked",
  "Transfer-Encoding: CHUNKED",
  "transfer-encoding: gzip, chunked",
  "connection: close",
  "connection: keep-alive",
  "keep-alive: timeout=5",
  "x-any: \t thing ",
  " folded",
  "no colon",
  "x:y\n",
  "x:y\rz",
);
const body = fc.constantFrom(
  "",
  "abc",
  "abcdef",
  "3\r\nabc\r\n0\r\n\r\n",
  "3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nx: y\r\n\r\n",
  "3\r\nabcd\r\n0\r\n\r\n",
  "3\nabc\n0\n\n",
  "0\r\n\r\n",
  "zz\r\nabc",
);
const interim = fc.constantFrom("", "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n");

test("what it takes for an answer, undici takes for the same one", async () => {
  let answer = "";
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => socket.end(answer, "latin1"));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  let taken = 0;

  const responses = fc.tuple(interim, line, fc.array(header, { maxLength: 4 }), body);
  await fc.assert(
    fc.asyncProperty(responses, async ([before, first, headers, content]) => {
      answer = `${before}${[first, ...headers].join("\r\n")}\r\n\r\n${content}`;
      const ours = await askOurs(origin);
      if (ours === "failed") return;
      taken += 1;
      expect(await askUndici(origin)).toEqual(ours);
    }),
    { numRuns: 200 },
  );

  expect(taken).toBeGreaterThan(20);
  server.close();
});

async function askOurs(origin: string): Promise<Outcome> {
  using pool = new ConnectionPool(origin, { maxConnections: 1, connectMs: 5_000 });
  let status = 0;
  const chunks: Buffer[] = [];
  return await new Promise<Outcome>((resolve) => {
    pool.dispatch(
      { method: "GET", path: "/", headers: [] },
      {
        onConnect: () => {},
        onHeaders: (code) => {
          status = code;
        },
        onData: (chunk) => chunks.push(chunk) > 0,
        onComplete: () => resolve({ status, body: Buffer.concat(chunks).toString() }),
        onError: () => resolve("failed"),
      },
    );
  });
}

async function askUndici(origin: string): Promise<Outcome> {
  const pool = new Pool(origin, { connections: 1 });
  try {
    const answer = await pool.request({ method: "GET", path: "/" });
    return { status: answer.statusCode, body: await answer.body.text() };
  } catch {
    return "failed";
  } finally {
    await pool.destroy();
  }
}
