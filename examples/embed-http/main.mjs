// A gateway inside a program of your own, with its own HTTP endpoint. Needs `npm run build`; then:
//   node examples/embed-http/main.mjs
import assert from "node:assert/strict";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { createVmcp } from "vmcp";

const counter = fileURLToPath(new URL("../counter.mjs", import.meta.url));

// The same shape as a configuration file. Port 0 takes any free one.
const vmcp = await createVmcp({
  server: { port: 0 },
  backends: [{ name: "counter", command: process.execPath, args: [counter] }],
});

try {
  const url = await vmcp.listen();
  const alice = await connect(url, "alice");
  const bob = await connect(url, "bob");

  const { tools } = await alice.listTools();
  const counts = [await count(alice), await count(alice), await count(bob)];

  // Each client has a process of its own behind the gateway, which lives as long as the client's session.
  assert.deepEqual(
    tools.map((tool) => tool.name),
    ["counter_count"],
  );
  assert.deepEqual(counts, ["1", "2", "1"]);
  assert.equal(vmcp.sessions.sessionCount, 2);

  await disconnect(alice);
  await disconnect(bob);
  assert.equal(vmcp.sessions.sessionCount, 0);

  // Without HTTP the same sessions are there for the program itself.
  const session = await vmcp.openSession();
  const { content } = await session.callTool("counter_count", {});
  assert.equal(content[0]?.text, "1");
  await vmcp.sessions.terminate(session.id);
} finally {
  await vmcp.close();
}
process.stdout.write("embed-http: alice counted 1, 2 and bob counted 1\n");

async function connect(url, name) {
  const client = new Client({ name, version: "1.0.0" });
  await client.connect(new StreamableHTTPClientTransport(new URL(url)));
  return client;
}

async function count(client) {
  const { content } = await client.callTool({ name: "counter_count" });
  return content[0]?.text;
}

/** Ends the session too: closing a client alone leaves it to the gateway's idle time. */
async function disconnect(client) {
  await client.transport.terminateSession();
  await client.close();
}
