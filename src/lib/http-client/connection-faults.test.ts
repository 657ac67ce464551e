import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import {
  AUTHORITY,
  CERTIFICATE_KEY,
  GOOD_CERTIFICATE,
} from "../../../test/support/certificates.ts";
import { answer, ask, poolAt, startServer, startTlsServer } from "./testing/pool-rig.ts";

const IDENTITY = { cert: GOOD_CERTIFICATE, key: CERTIFICATE_KEY };

function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
}

describe("a handler", () => {
  test("that breaks its request off and then throws, before it leaves, costs no other request", async () => {
    const { origin } = await startServer((socket, path) => socket.write(answer(path)));
    const pool = poolAt(origin, { maxConnections: 1 });
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
    const origin = await startTlsServer(
      (socket) => socket.write(answer("a".repeat(20_000))),
      IDENTITY,
    );
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
    const origin = await startTlsServer(
      (socket) => socket.end("HTTP/1.1 200 OK\r\n\r\nall of it"),
      IDENTITY,
    );
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

test("requests that wait do not leave on a connection whose server closes it after each answer without a word", async () => {
  const { origin } = await startServer((socket, path) => socket.end(answer(path)));
  const pool = poolAt(origin, { maxConnections: 1 });

  const bodies = await Promise.all(["/1", "/2", "/3", "/4"].map((path) => ask(pool, path).ended));

  expect(bodies).toEqual(["/1", "/2", "/3", "/4"]);
});

test("a connection that waits for its next request keeps nothing of the last one", async () => {
  const { origin } = await startServer((socket, path) => socket.write(answer(path)));
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
