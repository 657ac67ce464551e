import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTlsServer, rootCertificates } from "node:tls";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  AUTHORITY,
  CERTIFICATE_KEY,
  GOOD_CERTIFICATE,
} from "../../../test/support/certificates.ts";
import type { ConnectionPoolOptions } from "./connection-pool.ts";
import type { HttpRequest } from "./request-sender.ts";
import {
  answer,
  ask,
  askWith,
  listen,
  poolAt,
  readRequests,
  startServer,
  startTlsServer,
} from "./testing/pool-rig.ts";

const IDENTITY = { cert: GOOD_CERTIFICATE, key: CERTIFICATE_KEY };

const bothAddresses: ConnectionPoolOptions["lookup"] = (_host, _options, callback) => {
  callback(null, [
    { address: "::1", family: 6 },
    { address: "127.0.0.1", family: 4 },
  ]);
};

describe("a server that cannot be reached", () => {
  test("fails each request with why, and is asked again by the next one", async () => {
    const server = createServer();
    const port = await listen(server);
    server.close();
    await once(server, "close");
    const pool = poolAt(`http://127.0.0.1:${port}`, { maxConnections: 2 });

    const all = ["/1", "/2", "/3", "/4", "/5"].map((path) => ask(pool, path).ended);

    expect(await Promise.all(all)).toEqual(all.map(() => "ECONNREFUSED"));
    expect(await ask(pool, "/6").ended).toBe("ECONNREFUSED");
  });

  test("in time is given up", async () => {
    const server = createServer((socket) => socket.on("error", () => {}));
    const port = await listen(server);

    const heard = ask(poolAt(`https://127.0.0.1:${port}`, { connectMs: 100 }), "/");

    expect(await heard.ended).toBe("ERR_CONNECT_TIMEOUT");
    expect(heard.said).toEqual(["error ERR_CONNECT_TIMEOUT"]);
  });

  test("by one of its addresses is reached by the other", async () => {
    const { origin } = await startServer((socket, path) => socket.write(answer(path)));

    expect(await ask(poolAt(origin, { lookup: bothAddresses }), "/x").ended).toBe("/x");
  });

  test("because looking its host up throws fails the request", async () => {
    const pool = poolAt("http://name.invalid", {
      lookup() {
        throw Object.assign(new Error("no"), { code: "EBROKEN" });
      },
    });

    expect(await ask(pool, "/").ended).toBe("EBROKEN");
    expect(await ask(pool, "/").ended).toBe("EBROKEN");
  });
});

describe("the host of an origin", () => {
  test.for<readonly [string, string]>([
    ["with a name in another script is looked up and asked in ASCII", "http://BÜCHER.invalid"],
    ["that is written in ASCII is looked up as it stands", "http://xn--bcher-kva.invalid"],
  ])("%s", async ([, origin]) => {
    const asked: string[] = [];
    const hosts: string[] = [];
    const server = createServer((socket) => {
      socket.on("data", (chunk) => hosts.push(String(/host: (.*)\r/.exec(chunk.toString())?.[1])));
      readRequests(socket, (its, path) => its.write(answer(path)));
    });
    const port = await listen(server);
    const pool = poolAt(new URL(`${origin}:${port}`).origin, {
      lookup(host, _options, callback) {
        asked.push(host);
        callback(null, [{ address: "127.0.0.1", family: 4 }]);
      },
    });

    expect(await ask(pool, "/").ended).toBe("/");
    expect(asked).toEqual(["xn--bcher-kva.invalid"]);
    expect(hosts).toEqual([`xn--bcher-kva.invalid:${port}`]);
  });

  test("that is an IPv6 address is dialled without its brackets and named with them", async () => {
    const hosts: string[] = [];
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on("data", (chunk) => hosts.push(String(/host: (.*)\r/.exec(chunk.toString())?.[1])));
      readRequests(socket, (its, path) => its.write(answer(path)));
    });
    server.listen(0, "::1");
    onTestFinished(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;

    expect(await ask(poolAt(`http://[::1]:${port}`), "/").ended).toBe("/");
    expect(hosts).toEqual([`[::1]:${port}`]);
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
    const named: HttpRequest = {
      method: "GET",
      path: "/2",
      headers: [],
      host: "mcp.example:80",
    };

    const bodies = [await ask(pool, "/1").ended, await askWith(pool, named).ended];

    expect(bodies).toEqual(["here", "here"]);
    expect(heads[0]).toMatch(/^GET \/1 HTTP\/1.1\r\nhost: nowhere.invalid\r\n/);
    expect(heads[1]).toMatch(/^GET \/2 HTTP\/1.1\r\nhost: mcp.example:80\r\n/);
  });

  test("at which nobody listens fails each request before it leaves", async () => {
    const pool = poolAt("http://localhost", { socketPath: join(tmpdir(), "vmcp-nobody.sock") });

    const heard = ask(pool, "/");

    expect(await heard.ended).toBe("ENOENT");
    expect(heard.said).toEqual(["error ENOENT"]);
  });

  test.for([
    ["https://localhost", "/1"],
    ["https://127.0.0.1", "/1"],
    ["https://other.example", "ERR_TLS_CERT_ALTNAME_INVALID"],
    ["https://10.1.2.3", "ERR_TLS_CERT_ALTNAME_INVALID"],
  ] as const)("is dialled over TLS for %s, which its certificate must be for", async (row) => {
    const [origin, expected] = row;
    const socketPath = newPath();
    const server = createTlsServer(IDENTITY, (socket) => {
      readRequests(socket, (its, path) => its.write(answer(path)));
    });
    await listen(server, socketPath);
    const pool = poolAt(origin, { ca: [AUTHORITY], socketPath });

    expect(await ask(pool, "/1").ended).toBe(expected);
  });

  async function listenAtPath(serve: (socket: Socket) => void): Promise<string> {
    const path = newPath();
    await listen(
      createServer((socket) => {
        socket.on("error", () => {});
        serve(socket);
      }),
      path,
    );
    return path;
  }

  function newPath(): string {
    const folder = mkdtempSync(join(tmpdir(), "vmcp-test-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    return join(folder, "0.sock");
  }
});

describe("over TLS", () => {
  test("a server whose certificate an authority signed is asked by its name, and its session is taken up again", async () => {
    const secured: unknown[] = [];
    const closing = (socket: Socket, path: string): unknown =>
      socket.write(answer(path, "connection: close\r\n"));
    const origin = await startTlsServer(closing, {
      ...IDENTITY,
      onSecure: (socket) => secured.push([socket.servername, socket.isSessionReused()]),
    });
    const pool = poolAt(origin, { ca: [AUTHORITY] });

    const bodies = [await ask(pool, "/1").ended, await ask(pool, "/2").ended];

    expect(bodies).toEqual(["/1", "/2"]);
    expect(secured).toEqual([
      ["localhost", false],
      ["localhost", true],
    ]);
  });

  test("an authority is found in a file of several", async () => {
    const origin = await startTlsServer((socket, path) => socket.write(answer(path)), IDENTITY);
    const several = [rootCertificates[0], AUTHORITY, rootCertificates[1]].join("\n");

    expect(await ask(poolAt(origin, { ca: [several] }), "/1").ended).toBe("/1");
  });

  test("any other is refused before a byte of the request leaves", async () => {
    const origin = await startTlsServer((socket, path) => socket.write(answer(path)), IDENTITY);

    const heard = ask(poolAt(origin), "/1");

    expect(await heard.ended).toBe("UNABLE_TO_VERIFY_LEAF_SIGNATURE");
    expect(heard.said).toEqual(["error UNABLE_TO_VERIFY_LEAF_SIGNATURE"]);
  });

  test("a server is reached by the address that answers", async () => {
    const origin = await startTlsServer((socket, path) => socket.write(answer(path)), IDENTITY);
    const pool = poolAt(origin, { ca: [AUTHORITY], lookup: bothAddresses });

    expect(await ask(pool, "/1").ended).toBe("/1");
    expect(await ask(pool, "/2").ended).toBe("/2");
  });

  test("a session is not taken up again once a connection has failed with it", async () => {
    const reused: boolean[] = [];
    let isBroken = false;
    const origin = await startTlsServer((socket, path) => socket.end(answer(path)), {
      ...IDENTITY,
      onSecure: (socket) => reused.push(socket.isSessionReused()),
      onConnection: (socket) => isBroken && socket.destroy(),
    });
    const pool = poolAt(origin, { ca: [AUTHORITY] });

    await ask(pool, "/1").ended;
    await ask(pool, "/2").ended;
    isBroken = true;
    const failed = await ask(pool, "/3").ended;
    isBroken = false;
    await ask(pool, "/4").ended;

    expect(failed).toBe("ECONNRESET");
    expect(reused).toEqual([false, true, false]);
  });

  test("a server that closes as soon as it is secure fails the request, and is not tried without end", async () => {
    let secured = 0;
    const origin = await startTlsServer(() => {}, {
      ...IDENTITY,
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
    onTestFinished(() => clearInterval(timer));
    socket.on("error", () => {}).on("close", () => server.destroy());
    socket.on("data", (chunk) => server.write(chunk));
    server.on("error", () => {}).on("data", (chunk) => held.push(chunk));
  }
});
