import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, describe, expect, test } from "vitest";
import {
  AUTHORITY,
  CERTIFICATE_KEY,
  GOOD_CERTIFICATE,
} from "../../../test/support/certificates.ts";
import { ConnectionPool, type ConnectionPoolOptions } from "./connection-pool.ts";
import type { RequestControl, ResponseHandler } from "./request-sender.ts";

const cleanups: (() => void)[] = [];

afterEach(() => {
  for (const cleanup of cleanups.splice(0).toReversed()) cleanup();
});

type Serve = (socket: Socket, path: string) => void;

async function start(serve: Serve): Promise<string> {
  return `http://127.0.0.1:${await listen(createServer((socket) => readPaths(socket, serve)))}`;
}

async function startTls(
  serve: Serve,
  options: {
    readonly maxVersion?: "TLSv1.2";
    readonly onSecure?: (socket: TLSSocket) => void;
  } = {},
): Promise<string> {
  const { onSecure, ...rest } = options;
  const identity = { cert: GOOD_CERTIFICATE, key: CERTIFICATE_KEY };
  const server = createTlsServer({ ...identity, ...rest }, (socket) => {
    onSecure?.(socket);
    readPaths(socket, serve);
  });
  server.on("tlsClientError", () => {});
  return `https://localhost:${await listen(server)}`;
}

/** Requests without a body only. */
function readPaths(socket: Socket, serve: Serve): void {
  let text = "";
  socket.on("error", () => {});
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
    for (let end = text.indexOf("\r\n\r\n"); end >= 0; end = text.indexOf("\r\n\r\n")) {
      const path = text.split(" ", 2)[1] ?? "";
      text = text.slice(end + 4);
      serve(socket, path);
    }
  });
}

async function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => sockets.add(socket));
  cleanups.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // A server that listens on a port has such an address.
  return (server.address() as AddressInfo).port;
}

function poolAt(origin: string, more: Partial<ConnectionPoolOptions> = {}): ConnectionPool {
  const pool = new ConnectionPool(origin, { maxConnections: 1, connectMs: 5_000, ...more });
  cleanups.push(() => pool[Symbol.dispose]());
  return pool;
}

interface Heard {
  readonly said: string[];
  /** The body, or the code of the error. */
  readonly ended: Promise<string>;
  control(): RequestControl;
}

function ask(pool: ConnectionPool, path: string, more: Partial<ResponseHandler> = {}): Heard {
  const said: string[] = [];
  const bodies: Buffer[] = [];
  let control: RequestControl | undefined;
  const ended = new Promise<string>((resolve) => {
    pool.dispatch(
      { method: "GET", path, headers: [] },
      {
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
          more.onComplete?.();
        },
        onError(error) {
          const code = "code" in error ? String(error.code) : error.message;
          said.push(`error ${code}`);
          resolve(code);
        },
      },
    );
  });
  return {
    said,
    ended,
    control() {
      if (control === undefined) throw new Error("not connected");
      return control;
    },
  };
}

function answer(body: string): string {
  return `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
}

function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
}

describe("a handler", () => {
  test("that breaks its request off and then throws, before it leaves, costs no other request", async () => {
    const origin = await start((socket, path) => socket.write(answer(path)));
    const pool = poolAt(origin);
    const broken = ask(pool, "/1", {
      onConnect(control) {
        control.abort();
        throw new Error("and more");
      },
    });
    const next = ask(pool, "/2");

    expect(await broken.ended).toBe("ERR_REQUEST_ABORTED");
    expect(await next.ended).toBe("/2");
    expect(broken.said).toEqual(["connect", "error ERR_REQUEST_ABORTED"]);
  });

  test("that throws at the last part of a body that it had paused hears of it", async () => {
    // Two records of TLS in one segment: the second one comes although the first one is followed by a pause.
    const origin = await startTls((socket) => socket.write(answer("a".repeat(20_000))));
    let bytes = 0;
    const heard = ask(poolAt(origin, { ca: [AUTHORITY] }), "/", {
      onData(chunk) {
        bytes += chunk.length;
        if (bytes < 20_000) return false;
        throw Object.assign(new Error("too much"), { code: "TOO_MUCH" });
      },
    });

    expect(await heard.ended).toBe("TOO_MUCH");
    expect(heard.said).toEqual(["connect", "head 200", "error TOO_MUCH"]);
  });

  test("that has paused a body which ends with its connection hears of the end after it goes on", async () => {
    const origin = await startTls((socket) => socket.end("HTTP/1.1 200 OK\r\n\r\nall of it"));
    let read = 0;
    const pool = poolAt(origin, { ca: [AUTHORITY], maxConnections: 2 });
    const heard = ask(pool, "/", {
      onData(chunk) {
        read += chunk.length;
        return false;
      },
    });
    await expect.poll(() => read).toBe(9);
    expect(await ask(pool, "/other").ended).toBe("all of it");

    expect(heard.said).toEqual(["connect", "head 200"]);
    heard.control().resume();
    expect(await heard.ended).toBe("all of it");
  });
});

describe("a connection that cannot be opened", () => {
  test("because looking its host up throws fails the request", async () => {
    const pool = poolAt("http://name.invalid", {
      lookup() {
        throw Object.assign(new Error("no"), { code: "EBROKEN" });
      },
    });

    expect(await ask(pool, "/").ended).toBe("EBROKEN");
    expect(await ask(pool, "/").ended).toBe("EBROKEN");
  });

  test("because its server closes as soon as it is secure fails the request, and is not tried without end", async () => {
    let secured = 0;
    const origin = await startTls(() => {}, {
      maxVersion: "TLSv1.2",
      onSecure(socket) {
        secured += 1;
        socket.end();
      },
    });
    const relay = createServer((socket) => relayTogether(socket, Number(new URL(origin).port)));
    const pool = poolAt(`https://localhost:${await listen(relay)}`, { ca: [AUTHORITY] });

    expect(await ask(pool, "/").ended).toBe("ERR_CONNECTION_CLOSED");
    expect(secured).toBe(1);
  });

  /** What the server says within a moment comes in one piece: the end of the handshake and that of the connection. */
  function relayTogether(socket: Socket, port: number): void {
    const server = connect(port, "127.0.0.1");
    let held: Buffer[] = [];
    const timer = setInterval(() => {
      if (held.length > 0) socket.write(Buffer.concat(held));
      held = [];
    }, 50);
    cleanups.push(() => clearInterval(timer));
    socket.on("error", () => {}).on("close", () => server.destroy());
    socket.on("data", (chunk) => server.write(chunk));
    server.on("error", () => {}).on("data", (chunk) => held.push(chunk));
  }
});

test("requests that wait do not leave on a connection whose server closes it after each answer without a word", async () => {
  const origin = await start((socket, path) => socket.end(answer(path)));
  const pool = poolAt(origin);

  const bodies = await Promise.all(["/1", "/2", "/3", "/4"].map((path) => ask(pool, path).ended));

  expect(bodies).toEqual(["/1", "/2", "/3", "/4"]);
});

test("a connection that waits for its next request keeps nothing of the last one", async () => {
  const origin = await start((socket, path) => socket.write(answer(path)));
  const pool = poolAt(origin);
  const body = await new Promise<WeakRef<Buffer>>((resolve) => {
    pool.dispatch(
      { method: "GET", path: "/", headers: [] },
      {
        onConnect() {},
        onHeaders() {},
        onData(chunk) {
          resolve(new WeakRef(chunk));
          return true;
        },
        onComplete() {},
        onError() {},
      },
    );
  });

  await expect
    .poll(() => {
      collectGarbage();
      return body.deref() === undefined;
    })
    .toBe(true);
});

test("a TLS session is not taken up again once a connection has failed with it", async () => {
  const reused: boolean[] = [];
  let isBroken = false;
  const identity = { cert: GOOD_CERTIFICATE, key: CERTIFICATE_KEY };
  const server = createTlsServer(identity, (socket) => {
    reused.push(socket.isSessionReused());
    readPaths(socket, (_, path) => socket.end(answer(path)));
  });
  server.on("tlsClientError", () => {});
  server.on("connection", (socket: Socket) => isBroken && socket.destroy());
  const pool = poolAt(`https://localhost:${await listen(server)}`, { ca: [AUTHORITY] });

  await ask(pool, "/1").ended;
  await ask(pool, "/2").ended;
  isBroken = true;
  const failed = await ask(pool, "/3").ended;
  isBroken = false;
  await ask(pool, "/4").ended;

  expect(failed).toBe("ECONNRESET");
  expect(reused).toEqual([false, true, false]);
});

test("over TLS a server is reached by the address that answers", async () => {
  const origin = await startTls((socket, path) => socket.write(answer(path)));
  const lookup: ConnectionPoolOptions["lookup"] = (_host, _options, callback) => {
    callback(null, [
      { address: "::1", family: 6 },
      { address: "127.0.0.1", family: 4 },
    ]);
  };
  const pool = poolAt(origin, { ca: [AUTHORITY], lookup });

  expect(await ask(pool, "/1").ended).toBe("/1");
  expect(await ask(pool, "/2").ended).toBe("/2");
});
