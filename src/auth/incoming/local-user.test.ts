import { readFileSync } from "node:fs";
import { createConnection, createServer, type AddressInfo, type Socket } from "node:net";
import { userInfo } from "node:os";
import { once } from "node:events";
import { onTestFinished, expect, test } from "vitest";
import type { AuthRequest } from "./client-auth.ts";
import { LOCAL_ISSUER, LocalUsers } from "./local-user.ts";
import { ownerOfPeer } from "./socket-owner.ts";

const OWN_USER = { uid: 1000, username: "alice" };

function requestOn(socket: object, headers: Readonly<Record<string, string>> = {}): AuthRequest {
  // Nothing else of a request is looked at.
  return { socket, headers } as unknown as AuthRequest;
}

test("the user of the gateway has a name, and others their number [auth A25]", () => {
  const owners: (number | undefined)[] = [1000, 1001, undefined];
  const users = new LocalUsers({ ownUser: OWN_USER, ownerOf: () => owners.shift() });

  const subjects = [1, 2, 3].map(() => users.verify(requestOn({})));

  expect(subjects).toMatchObject([
    { issuer: LOCAL_ISSUER, subject: "alice" },
    { issuer: LOCAL_ISSUER, subject: "uid:1001" },
    { issuer: LOCAL_ISSUER, subject: "alice" },
  ]);
});

test("a connection is looked up once", () => {
  let count = 0;
  const users = new LocalUsers({
    ownUser: OWN_USER,
    ownerOf: () => {
      count += 1;
      return 1000;
    },
  });
  const request = requestOn({});

  const before = users.recall(request);
  const verified = users.verify(request);
  const after = users.recall(request);

  expect(before).toBeUndefined();
  expect(after).toBe(verified);
  expect(count).toBe(1);
});

test("a connection that belongs to no user of the machine is refused", () => {
  const users = new LocalUsers({ ownUser: OWN_USER, ownerOf: () => "nobody" });

  expect(() => users.verify(requestOn({}))).toThrow("belongs to no user");
});

test("a proof that is presented is refused, on a known connection too", () => {
  const users = new LocalUsers({ ownUser: OWN_USER, ownerOf: () => 1000 });
  const socket = {};
  users.verify(requestOn(socket));
  const request = requestOn(socket, { authorization: "Bearer x" });

  expect(users.recall(request)).toBeUndefined();
  expect(() => users.verify(request)).toThrow("without one");
});

/**
 * Lines as Linux writes them on a little-endian machine; 127.0.0.1:40000 speaks to port 4483 of 127.0.0.1, and another
 * connection from there to the same port of 127.0.0.2.
 */
const TABLE = [
  "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
  "   0: 0100007F:1183 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0 100 0",
  "   1: 0100007F:1183 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1000        0 12 1 0 20 4",
  "   6: 0100007F:9C40 0200007F:1183 01 00000000:00000000 00:00000000 00000000  1003        0 15 1 0 20 4",
  "   2: 0100007F:9C40 0100007F:1183 01 00000000:00000000 00:00000000 00000000  1001        0 13 1 0 20 4",
  "   3: 0100007F:9C41 0100007F:1183 04 00000000:00000000 00:00000000 00000000     0        0 0 1 0 20 4",
  "   4: 0100007F:9C42 0100007F:1183 01 00000000:00000000 00:00000000 00000000     0        0 0 1 0 20 4",
  "   5: 0100007F:9C43 0100007F:1184 01 00000000:00000000 00:00000000 00000000  1002        0 14 1 0 20 4",
].join("\n");

test.for([
  ["an established connection is its owner's", "127.0.0.1", 40_000, 1001],
  ["the same seen over IPv6 is as well", "::ffff:127.0.0.1", 40_000, 1001],
  ["one that its process closed is nobody's", "127.0.0.1", 40_001, "nobody"],
  ["one that no process holds is nobody's", "127.0.0.1", 40_002, "nobody"],
  ["one to another port is nobody's", "127.0.0.1", 40_003, "nobody"],
  ["one from another machine is nobody's", "192.168.0.7", 40_000, "nobody"],
  ["one without an address is nobody's", undefined, 40_000, "nobody"],
] as const)("%s", ([, remoteAddress, remotePort, expected]) => {
  const addresses = { remoteAddress, remotePort, localAddress: "127.0.0.1", localPort: 4483 };

  const owner = ownerOfPeer(addresses, (name) => (name === "tcp" ? TABLE : undefined));

  expect(owner).toBe(expected);
});

test("without a table of sockets nobody can tell", () => {
  expect(ownerOfPeer({ remoteAddress: "127.0.0.1" }, () => undefined)).toBeUndefined();
});

test.runIf(process.platform === "linux").for(["127.0.0.1", "::1"])(
  "the system tells who is at the other end of a connection from %s",
  async (host, { skip }) => {
    const server = createServer();
    server.on("error", () => skip("this machine does not have that address"));
    server.listen(0, host);
    onTestFinished(() => void server.close());
    await once(server, "listening");
    // A listening TCP server has an address of this shape.
    const { port } = server.address() as AddressInfo;
    const client = createConnection({ host, port });
    onTestFinished(() => void client.destroy());
    // The event has this argument.
    const [socket] = (await once(server, "connection")) as [Socket];

    const owner = ownerOfPeer(socket, (name) => readFileSync(`/proc/net/${name}`, "latin1"));

    expect(owner).toBe(userInfo().uid);
  },
);
