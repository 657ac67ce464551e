import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { connect } from "node:net";
import { arrayBuffer as readBytes, text as readText } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { expect, onTestFinished, test } from "vitest";
import { sendBytes, sendRaw, startRaw } from "../../test/support/raw-client.ts";
import { requireSibling } from "./forwarding.ts";
import { SECRET, startRig } from "./testing/forwarding-rig.ts";

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

test("the owner learns which encodings the client reads, and its answer stays as it encoded it", async () => {
  const encoded = gzipSync("answer");
  const { url } = await startRig((request, response) => {
    const isRead = request.headers["accept-encoding"] === "gzip";
    const headers = {
      "content-encoding": "gzip",
      "content-length": encoded.length,
      vary: "accept-encoding",
    };
    response.writeHead(isRead ? 200 : 400, headers).end(encoded);
  });

  const answer = await fetch(url, { headers: { "accept-encoding": "gzip" } });

  expect(answer.status).toBe(200);
  expect(answer.headers.get("content-encoding")).toBe("gzip");
  expect(answer.headers.get("content-length")).toBe(String(encoded.length));
  expect(answer.headers.get("vary")).toBe("accept-encoding");
  expect(await answer.text()).toBe("answer");
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

const CLOSE = "Host: a\r\nConnection: close\r\n";

test.for(["GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH"])(
  "a %s is forwarded as one",
  async (method) => {
    const { url } = await startRig((request, response) => {
      response.writeHead(200, { "x-method": request.method, "content-length": 5 }).end("12345");
    });

    const answer = await sendRaw(url, { method });

    expect(answer).toMatchObject({ status: 200, text: method === "HEAD" ? "" : "12345" });
    expect(answer.headers).toMatchObject({ "x-method": method, "content-length": "5" });
  },
);

test.for([0, 1, 4_096, 4_097, 65_536, 65_537, 3_000_000])(
  "a body of %d bytes goes there and back unharmed",
  async (size) => {
    const bytes = Buffer.alloc(
      size,
      Uint8Array.from({ length: 251 }, (_, index) => index),
    );
    const { url } = await startRig(async (request, response) => {
      const body = Buffer.from(await readBytes(request));
      response.writeHead(200, { "content-length": body.length, "x-length": lengthOf(request) });
      response.end(body);
    });

    const answer = await fetch(url, { method: "POST", body: bytes });

    expect(answer.headers.get("x-length")).toBe(String(size));
    expect(Buffer.from(await answer.arrayBuffer()).equals(bytes)).toBe(true);
  },
);

test.for(["204 No Content", "304 Not Modified", "202 Accepted"])(
  "an answer without a body stays one: %s",
  async (line) => {
    const status = Number(line.slice(0, 3));
    const { url } = await startRig((_request, response) => void response.writeHead(status).end());

    const received = await sendBytes(url, `POST /mcp HTTP/1.1\r\n${CLOSE}\r\n`);

    expect(received).toMatch(
      new RegExp(`^HTTP/1.1 ${line}\\r\\n[^]*\\r\\n\\r\\n(?:0\\r\\n\\r\\n)?$`),
    );
  },
);

test("headers that stand twice stay two, in their order, and what is about one hop stays behind", async () => {
  const seen: string[] = [];
  const { url } = await startRig((request, response) => {
    seen.push(...request.rawHeaders.map((text) => text.toLowerCase()));
    response.setHeader("Date", "Thu, 01 Jan 1970 00:00:00 GMT");
    response.setHeader("X-Two", ["1", "2"]);
    response.setHeader("Proxy-Connection", "keep-alive");
    response.end();
  });

  const received = await sendBytes(
    url,
    `GET /mcp HTTP/1.1\r\n${CLOSE}X-Two: b\r\nx-two: a\r\nTE: trailers\r\nProxy-Connection: x\r\n\r\n`,
  );

  expect(seen.filter((_, index) => seen[index - 1] === "x-two" && index % 2 === 1)).toEqual([
    "b",
    "a",
  ]);
  expect(seen.filter((_, index) => index % 2 === 0)).not.toContain("te");
  expect(seen.filter((_, index) => index % 2 === 0)).not.toContain("proxy-connection");
  expect(received.match(/^x-two: \d/gim)?.map((line) => line.slice(-1))).toEqual(["1", "2"]);
  expect(received.match(/^date: .*$/gim)).toEqual([expect.stringContaining("1970")]);
  expect(received).not.toMatch(/^proxy-connection:/im);
});

test.for([
  ["in one piece", 10],
  ["in many pieces", 60_000],
  ["that is long", 200_000],
] as const)("where there is no owner, a body %s can be read as it came", async ([, size]) => {
  const { url, outcomes } = await startRig();
  const body = "0123456789".repeat(size / 10);

  const answer = await sendRaw(url, { method: "POST", body });

  expect(answer.status).toBe(404);
  expect(answer.text === body).toBe(true);
  expect(outcomes).toEqual([false]);
});

test("requests one after the other share a connection, and a new owner is found in the place of the old one", async () => {
  const { url, connections, stopOwner, startOwner, outcomes } = await startRig((_, response) => {
    response.end("first");
  });
  const before = [await sendRaw(url), await sendRaw(url), await sendRaw(url)];
  const shared = connections();

  await stopOwner();
  const between = await sendRaw(url);
  await startOwner((_, response) => void response.end("second"));
  const after = await sendRaw(url);

  expect(before.map(({ text }) => text)).toEqual(["first", "first", "first"]);
  expect(shared).toBe(1);
  expect(between.status).toBe(404);
  expect(after.text).toBe("second");
  expect(outcomes).toEqual([true, true, true, false, true]);
});

test("a connection that its owner keeps for less than a second is not used again", async () => {
  const { url, connections } = await startRig((_, response) => void response.end(), {
    keepAliveTimeoutMs: 900,
  });

  await sendRaw(url);
  await sendRaw(url);

  expect(connections()).toBe(2);
});

test("a client that leaves in the middle of its body is not heard of by the owner", async () => {
  let count = 0;
  const { url, outcomes } = await startRig((_, response) => {
    count += 1;
    response.end();
  });
  const half = `POST /mcp HTTP/1.1\r\n${CLOSE}Content-Length: 10\r\n\r\nhalf`;
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  await new Promise((resolve) => {
    socket.write(half, resolve);
  });

  socket.destroy();
  await expect.poll(() => outcomes).toEqual([true]);
  await sendRaw(url);

  expect(count).toBe(1);
});

test("a client that leaves before its answer takes its request with it", async () => {
  let closed = 0;
  const { url } = await startRig((_request, response) => {
    response.on("close", () => {
      closed += 1;
    });
    cut();
  });
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const cut = (): void => void socket.destroy();

  socket.write(`POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}`);

  await expect.poll(() => closed).toBe(1);
});

test("a client that does not read slows its owner down, and gets everything when it does", async () => {
  const total = 200;
  const piece = Buffer.alloc(200_000, "x");
  let written = 0;
  let stalled = 0;
  const { url } = await startRig(async (_request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (; written < total; written += 1) {
      if (response.write(piece)) continue;
      stalled += 1;
      // One piece after the other is what is shown here.
      // oxlint-disable-next-line no-await-in-loop
      await once(response, "drain");
    }
    response.end();
  });
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  onTestFinished(() => void socket.destroy());
  socket.pause();

  socket.write(`GET /mcp HTTP/1.1\r\n${CLOSE}\r\n`);
  await expect.poll(() => stalled).toBeGreaterThan(0);
  await settled(() => written);
  const whileNobodyReads = written;
  const received = (await readText(socket)).length;

  expect(whileNobodyReads).toBeLessThan(total);
  expect(received).toBeGreaterThan(total * piece.length);
});

function lengthOf({ headers }: IncomingMessage): string {
  return headers["content-length"] ?? "none";
}

/** Waits until it stands still for a few looks in a row. */
async function settled(look: () => number): Promise<void> {
  let [last, same] = [-1, 0];
  await expect
    .poll(() => {
      same = look() === last ? same + 1 : 0;
      last = look();
      return same;
    })
    .toBeGreaterThan(4);
}
