import dns, { type LookupAddress } from "node:dns";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTlsServer, type TlsOptions } from "node:tls";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CERTIFICATE, PRIVATE_KEY } from "../../support/backend/certificate.ts";
import {
  AUTHORITY,
  CERTIFICATE_KEY,
  EXPIRED_CERTIFICATE,
  FOREIGN_CERTIFICATE,
  GOOD_CERTIFICATE,
} from "../../support/certificates.ts";
import { startHttpLedger } from "../../support/ledger-backend.ts";
import { waitFor } from "../../support/quiescence.ts";
import { openRawSession } from "../../support/raw-client.ts";
import { callText } from "../protocol-backends.ts";
import { errorOfCall, startFaultGateway } from "./fault-backends.ts";

const CANARY = "CANARY-tls-3f9a";

describe("names", () => {
  /** What names lead to in these tests, by name; every other name is left to the system. */
  const names = new Map<string, () => readonly string[] | "never" | "unknown">();
  const systemLookup = dns.lookup;

  beforeEach(() => {
    // The resolver is the system's and not the gateway's: this is what a hostile one would answer.
    Object.assign(dns, {
      lookup: (name: string, ...rest: readonly unknown[]) =>
        names.has(name)
          ? scriptedLookup(name, rest.at(-1))
          : Reflect.apply(systemLookup, dns, [name, ...rest]),
    });
    syncBuiltinESMExports();
  });

  afterEach(() => {
    Object.assign(dns, { lookup: systemLookup });
    syncBuiltinESMExports();
    names.clear();
  });

  function scriptedLookup(name: string, given: unknown): void {
    // What a lookup is given last is its callback.
    const callback = given as (error: Error | null, found: readonly LookupAddress[]) => void;
    const answer = names.get(name)?.() ?? [];
    if (answer === "never") return;
    if (answer === "unknown") {
      callback(Object.assign(new Error("no such name"), { code: "ENOTFOUND" }), []);
      return;
    }
    callback(
      null,
      answer.map((address) => ({ address, family: 4 })),
    );
  }

  test("a name that comes to lead inside is not followed there [F13]", async () => {
    await using ledger = await startHttpLedger({}, 1_000);
    names.set("mcp.example", () => ["127.0.0.1"]);
    await using gateway = await startFaultGateway([
      {
        name: "b",
        url: `http://mcp.example:${ledger.port}/mcp`,
        allowInsecureHttp: true,
        timeouts: { connect: "200ms" },
      },
    ]);
    await gateway.vmcp.probed();
    const session = await openRawSession(gateway.url);
    const whileInside = await callText(session, "count");
    // Nobody answers there: what counts is that the name has led outside.
    names.set("mcp.example", () => ["192.0.2.1"]);
    await ledger.stopListening();
    await ledger.listen();
    await errorOfCall(session, "count");

    names.set("mcp.example", () => ["127.0.0.1"]);
    const sockets = ledger.acceptedSockets;
    await waitFor(async () => {
      const error = await errorOfCall(session, "count");
      return JSON.stringify(error).includes("ERR_ADDRESS_REFUSED");
    });

    expect(whileInside).toBe("1");
    expect(await errorOfCall(session, "count")).toMatchObject({
      data: { kind: "backend_unreachable", executionState: "not_executed" },
    });
    expect(ledger.acceptedSockets).toBe(sockets);
    expect(ledger.ledger.calls).toHaveLength(1);
  });

  test.for<[string, () => readonly string[] | "never" | "unknown"]>([
    ["that does not exist", () => "unknown"],
    ["whose answer never comes", () => "never"],
    ["of a cloud's credentials", () => ["169.254.169.254"]],
  ])("a name %s cannot be reached, and other backends can [F13]", async ([, answer]) => {
    await using ledger = await startHttpLedger();
    await using sound = await startHttpLedger();
    names.set("mcp.example", () => ["127.0.0.1"]);
    await using gateway = await startFaultGateway([
      {
        name: "b",
        url: `http://mcp.example:${ledger.port}/mcp`,
        allowInsecureHttp: true,
        timeouts: { connect: "200ms" },
      },
      { name: "sound", url: sound.url },
    ]);
    await gateway.vmcp.probed();
    const session = await openRawSession(gateway.url);

    names.set("mcp.example", answer);
    await ledger.stopListening();
    const error = await errorOfCall(session, "b_count");

    expect(error).toMatchObject({
      data: { kind: "backend_unreachable", backend: "b", executionState: "not_executed" },
    });
    expect(await callText(session, "sound_count")).toBe("1");
    expect(ledger.ledger.calls).toEqual([]);
  });
});

/** What a server shows to whoever begins a handshake. */
type Show = TlsOptions | "reset";

const GOOD: TlsOptions = { key: CERTIFICATE_KEY, cert: GOOD_CERTIFICATE };

/** A server before another that speaks TLS towards its clients, as well or as badly as it is told to. */
interface TlsFront extends AsyncDisposable {
  readonly port: number;
  /** What came in clear text, or within the TLS of whatever was shown. */
  readonly received: () => string;
  /** Shows something else from now on, and cuts every connection. */
  show(shown: Show): void;
}

async function startTlsFront(targetPort: number): Promise<TlsFront> {
  let received = "";
  let shown: Show = GOOD;
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  };
  const accept = (socket: Socket): void => {
    keep(socket);
    if (shown === "reset") {
      socket.on("data", (chunk) => {
        received += chunk.toString("latin1");
        socket.resetAndDestroy();
      });
      return;
    }
    const tls = createTlsServer(shown, (secure) => {
      const target = connect(targetPort, "127.0.0.1");
      keep(secure);
      keep(target);
      secure.on("data", (chunk: Buffer) => {
        received += chunk.toString("latin1");
      });
      secure.pipe(target).pipe(secure);
    });
    tls.on("tlsClientError", () => {});
    tls.emit("connection", socket);
  };
  const server = createServer(accept).listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    // A server that listens on TCP has an address object.
    port: (server.address() as AddressInfo).port,
    received: () => received,
    show(next) {
      shown = next;
      received = "";
      cut();
    },
    async [Symbol.asyncDispose]() {
      server.close();
      cut();
      await once(server, "close");
    },
  };
}

describe("over TLS", () => {
  test.for<[string, Show]>([
    ["whose certificate has expired", { ...GOOD, cert: EXPIRED_CERTIFICATE }],
    ["whose certificate is another's", { ...GOOD, cert: FOREIGN_CERTIFICATE }],
    ["whose certificate is its own", { key: PRIVATE_KEY, cert: CERTIFICATE }],
    ["that resets in the handshake", "reset"],
    [
      "that speaks TLS 1.0 alone",
      { ...GOOD, minVersion: "TLSv1", maxVersion: "TLSv1", ciphers: "ALL:@SECLEVEL=0" },
    ],
  ])("a backend %s gets neither call nor credential [F14] [I9]", async ([, shown]) => {
    const folder = mkdtempSync(join(tmpdir(), "vmcp-tls-"));
    const caBundlePath = join(folder, "authority.pem");
    writeFileSync(caBundlePath, AUTHORITY);
    await using ledger = await startHttpLedger();
    await using front = await startTlsFront(ledger.port);
    await using gateway = await startFaultGateway([
      {
        name: "b",
        url: `https://127.0.0.1:${front.port}/mcp`,
        headers: { "x-key": CANARY },
        caBundlePath,
      },
    ]);
    await gateway.vmcp.probed();
    const session = await openRawSession(gateway.url);
    const before = await callText(session, "count");
    const receivedBefore = front.received();

    front.show(shown);
    const error = await errorOfCall(session, "count");
    const receivedFaulty = front.received();
    front.show(GOOD);

    expect([before, receivedBefore.includes(CANARY)]).toEqual(["1", true]);
    expect(error).toMatchObject({
      data: { kind: "backend_tls", backend: "b", executionState: "not_executed" },
    });
    expect(receivedFaulty).not.toContain(CANARY);
    expect(receivedFaulty).not.toContain("tools/call");
    await waitFor(async () => (await callText(session, "count")) === "2");
    rmSync(folder, { recursive: true });
  });
});
