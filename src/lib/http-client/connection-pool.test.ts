import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import { afterEach, describe, expect, test } from "vitest";
import {
  AUTHORITY,
  CERTIFICATE_KEY,
  GOOD_CERTIFICATE,
} from "../../../test/support/certificates.ts";
import { ConnectionPool, type ConnectionPoolOptions } from "./connection-pool.ts";
import type { HttpRequest, RequestControl, ResponseHandler } from "./request-sender.ts";

const cleanups: (() => void)[] = [];

afterEach(() => {
  for (const cleanup of cleanups.splice(0).toReversed()) cleanup();
});

/** What a server does with a request of which all has come; `count` is which one it is. */
type Serve = (socket: Socket, path: string, count: number) => void;

interface Started {
  readonly origin: string;
  readonly sockets: Socket[];
  readonly requests: string[];
}

async function start(serve: Serve, host = "127.0.0.1"): Promise<Started> {
  const started = { sockets: [] as Socket[], requests: [] as string[] };
  const server = createServer((socket) => take(socket, serve, started));
  const port = await listen(server, host);
  return { origin: `http://localhost:${port}`, ...started };
}

function take(socket: Socket, serve: Serve, started: Omit<Started, "origin">): void {
  let text = "";
  started.sockets.push(socket);
  socket.on("error", () => {});
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
    const end = text.indexOf("\r\n\r\n");
    const length = Number(/content-length: (\d+)/.exec(text)?.[1] ?? 0);
    if (end < 0 || text.length < end + 4 + length) return;
    const path = text.split(" ", 2)[1] ?? "";
    text = text.slice(end + 4 + length);
    started.requests.push(path);
    serve(socket, path, started.requests.length);
  });
}

async function listen(server: Server, host: string): Promise<number> {
  server.listen(0, host);
  await once(server, "listening");
  const address = server.address() as AddressInfo;
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => sockets.add(socket));
  cleanups.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return address.port;
}

function poolAt(origin: string, more: Partial<ConnectionPoolOptions> = {}): ConnectionPool {
  const pool = new ConnectionPool(origin, { maxConnections: 4, connectMs: 5_000, ...more });
  cleanups.push(() => pool[Symbol.dispose]());
  return pool;
}

interface Heard {
  readonly ended: Promise<string>;
  readonly said: string[];
  control(): RequestControl;
}

/** Writes down what it hears; `ended` is the body, or the code of the error. */
function listener(more: Partial<ResponseHandler> = {}): ResponseHandler & Heard {
  const said: string[] = [];
  let resolve: (outcome: string) => void = () => {};
  const ended = new Promise<string>((settle) => {
    resolve = settle;
  });
  const bodies: Buffer[] = [];
  let control: RequestControl | undefined;
  return {
    said,
    ended,
    control() {
      if (control === undefined) throw new Error("not connected");
      return control;
    },
    onConnect(its) {
      control = its;
      said.push("connect");
      more.onConnect?.(its);
    },
    onHeaders(status, headers) {
      said.push(`head ${status}`);
      more.onHeaders?.(status, headers);
    },
    onData(chunk) {
      bodies.push(chunk);
      return more.onData?.(chunk) ?? true;
    },
    onComplete() {
      said.push("complete");
      resolve(Buffer.concat(bodies).toString());
    },
    onError(error) {
      const code = "code" in error ? String(error.code) : error.message;
      said.push(`error ${code}`);
      resolve(code);
    },
  };
}

function ask(pool: ConnectionPool, path: string, more: Partial<ResponseHandler> = {}): Heard {
  const heard = listener(more);
  pool.dispatch(get(path), heard);
  return heard;
}

function get(path: string): HttpRequest {
  return { method: "GET", path, headers: [] };
}

function answer(body: string, headers = ""): string {
  return `HTTP/1.1 200 OK\r\n${headers}content-length: ${body.length}\r\n\r\n${body}`;
}

describe("requests", () => {
  test("one after the other take one connection", async () => {
    const { origin, sockets } = await start((socket, path) => socket.write(answer(path)));
    const pool = poolAt(origin);

    const bodies = [await ask(pool, "/1").ended, await ask(pool, "/2").ended];

    expect(bodies).toEqual(["/1", "/2"]);
    expect(sockets).toHaveLength(1);
  });

  test("at once take as many connections as there may be, and the others wait in their order", async () => {
    const held: (() => void)[] = [];
    const { origin, sockets, requests } = await start((socket, path) =>
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
    const { origin } = await start((socket, path) => socket.write(answer(path)));
    const pool = poolAt(origin);

    for (const size of [0, 1, 4_096, 4_097, 3_000_000]) {
      const heard = listener();
      const body = Buffer.alloc(size, "x");
      pool.dispatch({ method: "POST", path: `/${size}`, headers: [], body }, heard);
      expect(await heard.ended).toBe(`/${size}`);
    }
  });

  test("that nobody wants any longer when they would leave do not leave", async () => {
    const { origin, requests, sockets } = await start((socket, path) => socket.write(answer(path)));
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
    const { origin, requests } = await start((socket, path) => socket.write(answer(path)));
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
    const { origin, sockets } = await start((socket, path) =>
      socket.write(path === "/1" ? text : answer(path)),
    );
    const pool = poolAt(origin);

    expect(await ask(pool, "/1").ended).toBe("a");
    expect(await ask(pool, "/2").ended).toBe("/2");
    expect(sockets).toHaveLength(2);
  });

  test("on which an answer comes that nobody asked for", async () => {
    const { origin, sockets } = await start((socket, path) => socket.write(answer(path)));
    const pool = poolAt(origin);
    await ask(pool, "/1").ended;

    const [first] = sockets;
    first?.write(answer("poison"));
    if (first !== undefined) await once(first, "close");

    expect(await ask(pool, "/2").ended).toBe("/2");
    expect(sockets).toHaveLength(2);
  });

  test("whose server answered before it had all of the request", async () => {
    const early = await startEarly();
    const pool = poolAt(early.origin);
    const heard = listener();
    const body = Buffer.alloc(30_000_000);

    pool.dispatch({ method: "POST", path: "/1", headers: [], body }, heard);

    expect(await heard.ended).toBe("early");
    await expect.poll(() => early.closed()).toBe(1);
  });

  test("that has waited for longer than its server lets it", async () => {
    const { origin, sockets } = await start((socket, path) =>
      socket.write(answer(path, "keep-alive: timeout=2\r\n")),
    );
    const pool = poolAt(origin);
    await ask(pool, "/1").ended;

    const [first] = sockets;
    if (first !== undefined) await once(first, "close");

    expect(await ask(pool, "/2").ended).toBe("/2");
  });
});

/** Answers as soon as the head has come, and reads nothing else. */
async function startEarly(): Promise<{ origin: string; closed(): number }> {
  let closed = 0;
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => {
      socket.pause();
      socket.write(answer("early"));
    });
    socket.on("close", () => {
      closed += 1;
    });
    // Reading on is the only way to learn of the end.
    setTimeout(() => socket.resume(), 100);
  });
  const port = await listen(server, "127.0.0.1");
  return { origin: `http://127.0.0.1:${port}`, closed: () => closed };
}

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
    const { origin } = await start((socket) => socket.end(text));

    expect(await ask(poolAt(origin), "/").ended).toBe(expected);
  });

  test("is paused and goes on where its handler wants it, even when all of it has come", async () => {
    const long = "x".repeat(3_000_000);
    const { origin, sockets } = await start((socket, path) =>
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
    const { origin, sockets } = await start((socket, path) => socket.write(answer(path)));
    const pool = poolAt(origin);
    const heard = ask(pool, "/kept", { onData: () => false });
    await expect.poll(() => heard.said).toEqual(["connect", "head 200"]);

    sockets[0]?.destroy();
    expect(await ask(pool, "/other").ended).toBe("/other");
    heard.control().resume();

    expect(await heard.ended).toBe("/kept");
  });

  test("whose handler throws breaks off, with what was thrown", async () => {
    const { origin, sockets } = await start((socket, path) => socket.write(answer(path)));
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
    const { origin, sockets } = await start((socket, path) => {
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
    const { origin } = await start((socket, path) =>
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

describe("a server that cannot be reached", () => {
  test("fails each request with why, and is asked again by the next one", async () => {
    const server = createServer();
    const port = await listen(server, "127.0.0.1");
    server.close();
    await once(server, "close");
    const pool = poolAt(`http://127.0.0.1:${port}`, { maxConnections: 2 });

    const all = ["/1", "/2", "/3", "/4", "/5"].map((path) => ask(pool, path).ended);

    expect(await Promise.all(all)).toEqual(all.map(() => "ECONNREFUSED"));
    expect(await ask(pool, "/6").ended).toBe("ECONNREFUSED");
  });

  test("in time is given up", async () => {
    const server = createServer((socket) => socket.on("error", () => {}));
    const port = await listen(server, "127.0.0.1");

    const heard = ask(poolAt(`https://127.0.0.1:${port}`, { connectMs: 100 }), "/");

    expect(await heard.ended).toBe("ERR_CONNECT_TIMEOUT");
    expect(heard.said).toEqual(["error ERR_CONNECT_TIMEOUT"]);
  });

  test("by one of its addresses is reached by the other", async () => {
    const { origin } = await start((socket, path) => socket.write(answer(path)), "127.0.0.1");
    const lookup: ConnectionPoolOptions["lookup"] = (_host, _options, callback) => {
      callback(null, [
        { address: "::1", family: 6 },
        { address: "127.0.0.1", family: 4 },
      ]);
    };

    expect(await ask(poolAt(origin, { lookup }), "/x").ended).toBe("/x");
  });
});

describe("a socket in the file system", () => {
  test("is dialled in place of the origin, which the request still names, or another host", async () => {
    const heads: string[] = [];
    const socketPath = await listenAtPath((socket) => {
      socket.on("data", (chunk) => {
        heads.push(chunk.toString("latin1"));
        socket.write(answer("here"));
      });
    });
    const pool = poolAt("http://nowhere.invalid", { socketPath });

    const first = await ask(pool, "/1").ended;
    const named = listener();
    pool.dispatch({ ...get("/2"), host: "mcp.example:80" }, named);

    expect([first, await named.ended]).toEqual(["here", "here"]);
    expect(heads[0]).toMatch(/^GET \/1 HTTP\/1.1\r\nhost: nowhere.invalid\r\n/);
    expect(heads[1]).toMatch(/^GET \/2 HTTP\/1.1\r\nhost: mcp.example:80\r\n/);
  });

  test("at which nobody listens fails each request before it leaves", async () => {
    const pool = poolAt("http://localhost", { socketPath: join(tmpdir(), "vmcp-nobody.sock") });

    const heard = ask(pool, "/");

    expect(await heard.ended).toBe("ENOENT");
    expect(heard.said).toEqual(["error ENOENT"]);
  });

  async function listenAtPath(serve: (socket: Socket) => void): Promise<string> {
    const folder = mkdtempSync(join(tmpdir(), "vmcp-test-"));
    cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
    const path = join(folder, "0.sock");
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket.on("error", () => {}));
      serve(socket);
    }).listen(path);
    cleanups.push(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    await once(server, "listening");
    return path;
  }
});

describe("over TLS", () => {
  async function startTls(): Promise<{ origin: string; reused: boolean[]; names: unknown[] }> {
    const reused: boolean[] = [];
    const names: unknown[] = [];
    const options = { cert: GOOD_CERTIFICATE, key: CERTIFICATE_KEY };
    const server = createTlsServer(options, (socket) => {
      reused.push(socket.isSessionReused());
      names.push(socket.servername);
      take(socket, (_, path) => socket.write(answer(path, "connection: close\r\n")), {
        sockets: [],
        requests: [],
      });
    });
    server.on("tlsClientError", () => {});
    const port = await listen(server, "127.0.0.1");
    return { origin: `https://localhost:${port}`, reused, names };
  }

  test("a server whose certificate an authority signed is asked by its name, and its session is taken up again", async () => {
    const { origin, reused, names } = await startTls();
    const pool = poolAt(origin, { ca: [AUTHORITY] });

    const bodies = [await ask(pool, "/1").ended, await ask(pool, "/2").ended];

    expect(bodies).toEqual(["/1", "/2"]);
    expect(names).toEqual(["localhost", "localhost"]);
    expect(reused).toEqual([false, true]);
  });

  test("any other is refused before a byte of the request leaves", async () => {
    const { origin } = await startTls();

    const heard = ask(poolAt(origin), "/1");

    expect(await heard.ended).toBe("UNABLE_TO_VERIFY_LEAF_SIGNATURE");
    expect(heard.said).toEqual(["error UNABLE_TO_VERIFY_LEAF_SIGNATURE"]);
  });
});

test("closing the pool breaks what is under way, what waits, and what is asked afterwards", async () => {
  const { origin, sockets } = await start(() => {});
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
