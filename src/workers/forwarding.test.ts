import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as readText } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { sendBytes, sendRaw, startRaw } from "../../test/support/raw-client.ts";
import { Forwarder, requireSibling } from "./forwarding.ts";

const SECRET = "s".repeat(43);

type Answer = (...exchange: Parameters<RequestListener>) => void | Promise<void>;

interface Rig {
  readonly url: string;
  /** What the forwarder said of each request, in their order. */
  readonly outcomes: boolean[];
}

/** A process that forwards everything to a worker that answers with `answer`; without it there is none. */
async function startRig(answer?: Answer): Promise<Rig> {
  const folder = mkdtempSync(join(tmpdir(), "vmcp-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const pathOf = (owner: number): string => join(folder, `${owner}.sock`);
  if (answer !== undefined) {
    const owner = createServer((...exchange) => void answer(...exchange)).listen(pathOf(3));
    onTestFinished(() => {
      owner.close();
      owner.closeAllConnections();
    });
    await once(owner, "listening");
  }
  const forwarder = new Forwarder({ secret: SECRET, pathOf, keepAliveTimeoutMs: 5_000 });
  const outcomes: boolean[] = [];
  const serve: Answer = async (request, response) => {
    const isForwarded = await forwarder.forward(3, request, response);
    outcomes.push(isForwarded);
    if (!isForwarded) response.writeHead(404).end(await readText(request));
  };
  const front = createServer((...exchange) => void serve(...exchange));
  front.listen(0, "127.0.0.1");
  await once(front, "listening");
  onTestFinished(() => {
    forwarder[Symbol.dispose]();
    front.close();
    front.closeAllConnections();
  });
  // A listening TCP server has an address of this shape.
  const { port } = front.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/mcp`, outcomes };
}

test("the owner gets the request as it came, and the client the answer as it was", async () => {
  const seen: {
    method?: string;
    url?: string;
    headers: IncomingMessage["headers"];
    body: string;
  }[] = [];
  const { url, outcomes } = await startRig(async (request, response) => {
    const { method = "", url: target = "", headers } = request;
    requireSibling(request, SECRET);
    seen.push({ method, url: target, headers, body: await readText(request) });
    response.writeHead(202, { "Mcp-Session-Id": "a", "X-Two": ["1", "2"] }).end("answer");
  });

  const answer = await sendRaw(`${url}?a=b`, {
    method: "POST",
    headers: { Host: "mcp.example", "X-Client": "c", "vmcp-sibling": "forged" },
    body: "question",
  });

  expect(seen).toEqual([
    {
      method: "POST",
      url: "/mcp?a=b",
      headers: expect.objectContaining({ host: "mcp.example", "x-client": "c" }),
      body: "question",
    },
  ]);
  expect(answer).toMatchObject({ status: 202, text: "answer" });
  expect(answer.headers).toMatchObject({ "mcp-session-id": "a", "x-two": "1, 2" });
  expect(outcomes).toEqual([true]);
});

test("where there is no owner, nothing of the request is read", async () => {
  const { url, outcomes } = await startRig();

  const answer = await sendRaw(url, { method: "POST", body: "still here" });

  expect(answer).toMatchObject({ status: 404, text: "still here" });
  expect(outcomes).toEqual([false]);
});

test("an owner that ends in the middle of its answer cuts the client's", async () => {
  const { url } = await startRig((request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write("data: 1\n\n", () => request.socket.destroy());
  });

  const answer = await startRaw(url);

  await expect(answer.ended).rejects.toThrow("the answer was cut");
  expect(answer.events).toEqual(["1"]);
});

test("an owner that ends before its answer leaves the client without one, and is not asked twice", async () => {
  let count = 0;
  const { url } = await startRig((request) => {
    count += 1;
    request.socket.destroy();
  });

  await expect(sendRaw(url, { method: "POST", body: "once" })).rejects.toThrow("hang up");

  expect(count).toBe(1);
});

test("a client that leaves takes its request with it", async () => {
  let isClosed = false;
  const { url } = await startRig((_request, response) => {
    response.on("close", () => {
      isClosed = true;
    });
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.flushHeaders();
  });
  const answer = await startRaw(url);

  answer.destroy();

  await expect.poll(() => isClosed).toBe(true);
});

test("a body that waits for a go-ahead, or comes in chunks, arrives whole", async () => {
  const { url } = await startRig(async (request, response) => {
    const body = await readText(request);
    response.end(`${request.headers["transfer-encoding"] ?? "sized"} ${body}`);
  });
  const head = "Host: a\r\nConnection: close\r\n";

  const expecting = await sendBytes(
    url,
    `POST /mcp HTTP/1.1\r\n${head}Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello`,
  );
  const chunked = await sendBytes(
    url,
    `DELETE /mcp HTTP/1.1\r\n${head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
  );

  expect(expecting).toMatch(/^HTTP\/1.1 100 [^]*HTTP\/1.1 200 [^]*sized hello/);
  expect(chunked).toMatch(/^HTTP\/1.1 200 [^]*chunked hello/);
});

test.for([undefined, "", "s", "t".repeat(43), `${SECRET}s`])(
  "a request that shows %j comes from no worker",
  (shown) => {
    // Only the headers are looked at.
    const request = { headers: { "vmcp-sibling": shown } } as unknown as IncomingMessage;

    expect(() => requireSibling(request, SECRET)).toThrow("may use this socket");
  },
);
