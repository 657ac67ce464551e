// The gateway's sessions on a path of an HTTP server that you have already, through the official SDK's own server.
// Needs `@modelcontextprotocol/server` and `npm run build`; then:
//   node examples/embed-sdk/main.mjs
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { createVmcp } from "vmcp";
import { createSdkHandler } from "vmcp/sdk";

const counter = fileURLToPath(new URL("../counter.mjs", import.meta.url));

// It is never asked to listen: the handler below serves its sessions.
const vmcp = await createVmcp({
  backends: [{ name: "counter", command: process.execPath, args: [counter] }],
});
const handleMcp = createSdkHandler({ sessions: vmcp.sessions, serverInfo: vmcp.serverInfo });

const server = createServer((request, response) => {
  if (request.url === "/mcp") void handleMcp(request, response);
  else response.end("the rest of the program\n");
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
const origin = `http://127.0.0.1:${server.address().port}`;

try {
  const client = new Client({ name: "example", version: "1.0.0" });
  const transport = new StreamableHTTPClientTransport(new URL(`${origin}/mcp`));
  await client.connect(transport);

  const first = await client.callTool({ name: "counter_count" });
  const second = await client.callTool({ name: "counter_count" });
  const page = await fetch(origin);

  assert.deepEqual(
    [first, second].map(({ content }) => content[0]?.text),
    ["1", "2"],
  );
  assert.equal(await page.text(), "the rest of the program\n");
  // The transport's session id is the session manager's own.
  assert.equal(vmcp.sessions.getMultiSession(transport.sessionId)?.id, transport.sessionId);

  await transport.terminateSession();
  await client.close();
  assert.equal(vmcp.sessions.sessionCount, 0);
} finally {
  await vmcp.close();
  server.close();
  server.closeAllConnections();
}
process.stdout.write("embed-sdk: counted 1, 2 in one session\n");
