import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { describe, expect, test } from "vitest";
import type { ResponseHandler } from "./request-sender.ts";
import { answer, ask, askWith, listen, poolAt, startServer } from "./testing/pool-rig.ts";

describe("requests", () => {
  test("one after the other take one connection", async () => {
    const { origin, sockets } = await startServer((socket, path) => socket.write(answer(path)));
    const pool = poolAt(origin);

    const bodies = [await ask(pool, "/1").ended, await ask(pool, "/2").ended];

    expect(bodies).toEqual(["/1", "/2"]);
    expect(sockets).toHaveLength(1);
  });

  test("at once take as many connections as there may be, and the others wait in their order", async () => {
    const held: (() => void)[] = [];
    const { origin, sockets, requests } = await startServer((socket, path) =>
      held.push(() => socket.write(answer(path))),
    );
    const pool = poolAt(origin, { maxConnections: 2 });

    const all = ["/1", "/2", "/3", "/4"].map((path) => ask(pool, path).ended);
    await expect.poll(() => held.length).toBe(2);
    const before = [...requests];
    for (let index = 0; index < 4; index += 1) {
      await expect.poll(() => held.length).toBeGreaterThan(index);
      held[index]?.();
    }

    expect(await Promise.all(all)).toEqual(["/1", "/2", "/3", "/4"]);
    expect(before.toSorted()).toEqual(["/1", "/2"]);
    expect(requests.slice(2)).toEqual(["/3", "/4"]);
    expect(sockets).toHaveLength(2);
  });

  test("with bodies of any size arrive whole", async () => {
    const { origin } = await startServer((socket, path) => socket.write(answer(path)));
    const pool = poolAt(origin);

    for (const size of [0, 1, 4_096, 4_097, 3_000_000]) {
      const body = Buffer.alloc(size, "x");
      const heard = askWith(pool, { method: "POST", path: `/${size}`, headers: [], body });
      // oxlint-disable-next-line no-await-in-loop -- one after the other, on one connection
      expect(await heard.ended).toBe(`/${size}`);
    }
  });

  test("with a body in pieces arrive whole", async () => {
    const { origin, sockets } = await startServer((socket, path, body) =>
      socket.write(answer(path === "/pieces" ? body : path)),
    );
    const pool = poolAt(origin, { maxConnections: 1 });
    const body = [3, 100_000, 0, 1].map((size, index) => Buffer.alloc(size, String(index)));

    const heard = askWith(pool, { method: "POST", path: "/pieces", headers: [], body });
    const next = ask(pool, "/next");

    expect(await heard.ended).toBe(body.join(""));
    expect(await next.ended).toBe("/next");
    expect(sockets).toHaveLength(1);
  });

  test("that nobody wants any longer when they would leave do not leave", async () => {
    const { origin, requests, sockets } = await startServer((socket, path) =>
      socket.write(answer(path)),
    );
    const pool = poolAt(origin);
    const unwanted = {
      onConnect(): never {
        throw Object.assign(new Error("gone"), { code: "GONE" });
      },
    };

    const dropped = ask(pool, "/1", unwanted);
    const served = ask(pool, "/2");

    expect([await dropped.ended, await served.ended]).toEqual(["GONE", "/2"]);
    expect(await ask(pool, "/3").ended).toBe("/3");
    expect(requests).toEqual(["/2", "/3"]);
    expect(sockets.length).toBeLessThanOrEqual(2);
  });

  test("that HTTP does not allow fail later, and cost no connection", async () => {
    const { origin, requests } = await startServer((socket, path) => socket.write(answer(path)));
    const pool = poolAt(origin);

    const heard = ask(pool, "/a b");

    expect(heard.said).toEqual([]);
    expect(await heard.ended).toBe("ERR_INVALID_REQUEST");
    expect(heard.said).toEqual(["error ERR_INVALID_REQUEST"]);
    expect(await ask(pool, "/ok").ended).toBe("/ok");
    expect(requests).toEqual(["/ok"]);
  });
});

describe("a connection is not used again", () => {
  test.for<readonly [string, string]>([
    ["whose server closes it", answer("a", "connection: close\r\n")],
    ["whose server will close it at once", answer("a", "keep-alive: timeout=1\r\n")],
    ["on which more came than was asked for", answer("a") + answer("poison")],
  ])("%s", async ([, text]) => {
    const { origin, sockets } = await startServer((socket, path) =>
      socket.write(path === "/1" ? text : answer(path)),
    );
    const pool = poolAt(origin);

    expect(await ask(pool, "/1").ended).toBe("a");
    expect(await ask(pool, "/2").ended).toBe("/2");
    expect(sockets).toHaveLength(2);
  });

  test("on which an answer comes that nobody asked for", async () => {
    const { origin, sockets } = await startServer((socket, path) => socket.write(answer(path)));
    const pool = poolAt(origin);
    await ask(pool, "/1").ended;

    const [first] = sockets;
    first?.write(answer("poison"));
    if (first !== undefined) await once(first, "close");

    expect(await ask(pool, "/2").ended).toBe("/2");
    expect(sockets).toHaveLength(2);
  });

  test("whose server answered before it had all of the request", async () => {
    const started: Socket[] = [];
    const server = createServer((socket) => {
      started.push(socket.on("error", () => {}));
      socket.once("data", () => {
        socket.pause();
        socket.write(answer("early"));
      });
    });
    const pool = poolAt(`http://127.0.0.1:${await listen(server)}`);
    const body = Buffer.alloc(30_000_000);

    const heard = askWith(pool, { method: "POST", path: "/1", headers: [], body });

    expect(await heard.ended).toBe("early");
    // Reading on is the only way to learn of the end.
    for (const socket of started) socket.resume();
    await expect.poll(() => started.map(({ closed }) => closed)).toEqual([true]);
  });

  test("that has waited for longer than its server lets it", async () => {
    const { origin, sockets } = await startServer((socket, path) =>
      socket.write(answer(path, "keep-alive: timeout=2\r\n")),
    );
    const pool = poolAt(origin);
    await ask(pool, "/1").ended;

    const [first] = sockets;
    if (first !== undefined) await once(first, "close");

    expect(await ask(pool, "/2").ended).toBe("/2");
  });
});

describe("an answer", () => {
  test.for<readonly [string, string, string]>([
    [
      "that ends too early",
      "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc",
      "ERR_CONNECTION_CLOSED",
    ],
    [
      "that ends before its last chunk",
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n",
      "ERR_CONNECTION_CLOSED",
    ],
    ["that never begins", "", "ERR_CONNECTION_CLOSED"],
    ["that is not HTTP", "hello\r\n\r\n", "ERR_MALFORMED_RESPONSE"],
    ["without a length, which ends with its connection,", "HTTP/1.1 200 OK\r\n\r\nabc", "abc"],
  ])("%s ends as %s leaves it: %s", async ([, text, expected]) => {
    const { origin } = await startServer((socket) => socket.end(text));

    expect(await ask(poolAt(origin), "/").ended).toBe(expected);
  });

  test("is paused and goes on where its handler wants it, even when all of it has come", async () => {
    const long = "x".repeat(3_000_000);
    const { origin, sockets } = await startServer((socket, path) =>
      socket.write(answer(path === "/short" ? "short" : long)),
    );
    const pool = poolAt(origin);
    const read = { short: 0, long: 0 };
    const pauseOn = (name: "short" | "long"): Partial<ResponseHandler> => ({
      onData(chunk) {
        read[name] += chunk.length;
        return false;
      },
    });

    const short = ask(pool, "/short", pauseOn("short"));
    await expect.poll(() => read.short).toBe(5);
    expect(short.said).toEqual(["connect", "head 200"]);
    short.control().resume();
    expect(await short.ended).toBe("short");
    const paused = ask(pool, "/long", pauseOn("long"));
    await expect.poll(() => read.long).toBeGreaterThan(0);
    const first = read.long;
    paused.control().resume();
    await expect.poll(() => read.long).toBeGreaterThan(first);
    expect(read.long).toBeLessThan(long.length);
    const timer = setInterval(() => paused.control().resume(), 1);
    expect(await paused.ended).toHaveLength(long.length);
    clearInterval(timer);
    expect(sockets).toHaveLength(1);
  });

  test("that is whole and paused outlives its connection", async () => {
    const { origin, sockets } = await startServer((socket, path) => socket.write(answer(path)));
    const pool = poolAt(origin);
    const heard = ask(pool, "/kept", { onData: () => false });
    await expect.poll(() => heard.said).toEqual(["connect", "head 200"]);

    sockets[0]?.destroy();
    expect(await ask(pool, "/other").ended).toBe("/other");
    heard.control().resume();

    expect(await heard.ended).toBe("/kept");
  });

  test("whose handler throws breaks off, with what was thrown", async () => {
    const { origin, sockets } = await startServer((socket, path) => socket.write(answer(path)));
    const pool = poolAt(origin);
    const heard = ask(pool, "/", {
      onData() {
        throw Object.assign(new Error("too much"), { code: "TOO_MUCH" });
      },
    });

    expect(await heard.ended).toBe("TOO_MUCH");
    expect(heard.said).toEqual(["connect", "head 200", "error TOO_MUCH"]);
    expect(await ask(pool, "/2").ended).toBe("/2");
    expect(sockets).toHaveLength(2);
  });
});

describe("a request that is broken off", () => {
  test("hears of it before the call returns, takes its connection with it, and makes room for the next one", async () => {
    const { origin, sockets } = await startServer((socket, path) => {
      if (path !== "/held") socket.write(answer(path));
    });
    const pool = poolAt(origin, { maxConnections: 1 });
    const held = ask(pool, "/held");
    const next = ask(pool, "/next");
    await expect.poll(() => sockets.length).toBe(1);
    await expect.poll(() => held.said).toEqual(["connect"]);

    held.control().abort();
    const saidAtOnce = [...held.said];
    held.control().abort();

    expect(saidAtOnce).toEqual(["connect", "error ERR_REQUEST_ABORTED"]);
    expect(held.said).toEqual(saidAtOnce);
    expect(await next.ended).toBe("/next");
    expect(sockets).toHaveLength(2);
  });

  test("after it has ended touches nothing: its connection serves another one", async () => {
    const held: (() => void)[] = [];
    const { origin } = await startServer((socket, path) =>
      path === "/1" ? socket.write(answer(path)) : held.push(() => socket.write(answer(path))),
    );
    const pool = poolAt(origin);
    const first = ask(pool, "/1");
    await first.ended;
    const second = ask(pool, "/2");
    await expect.poll(() => held.length).toBe(1);

    first.control().abort();
    first.control().resume();
    held[0]?.();

    expect(await second.ended).toBe("/2");
  });
});

test("closing the pool breaks what is under way, what waits, and what is asked afterwards", async () => {
  const { origin, sockets } = await startServer(() => {});
  const pool = poolAt(origin, { maxConnections: 1 });
  const [held, waiting] = [ask(pool, "/1"), ask(pool, "/2")];
  await expect.poll(() => held.said).toEqual(["connect"]);

  pool[Symbol.dispose]();
  const late = ask(pool, "/3");

  expect(late.said).toEqual([]);
  expect(await Promise.all([held.ended, waiting.ended, late.ended])).toEqual(
    Array.from({ length: 3 }, () => "ERR_CLIENT_CLOSED"),
  );
  await expect.poll(() => sockets.every(({ destroyed }) => destroyed)).toBe(true);
});
