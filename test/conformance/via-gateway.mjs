// The client that the conformance suite's client scenarios run: an official client that reaches the scenario's server
// through a gateway in this process, so that the suite judges the gateway's side towards backends. With `--direct` the
// client goes to the server itself. The suite adds the server's URL as the last argument.
import process from "node:process";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { STATELESS_SCENARIOS } from "./stateless-scenarios.mjs";

/** Far longer than any scenario's answer takes; without an answer the scenario ends soon and not in a minute. */
const OPTIONS = { timeout: 5_000 };

/** What the client does in each scenario once it is connected. */
const SCENARIOS = new Map([
  ["initialize", (client) => client.listTools(undefined, OPTIONS)],
  [
    "tools_call",
    async (client) => {
      await client.listTools(undefined, OPTIONS);
      await client.callTool({ name: "add_numbers", arguments: { a: 5, b: 3 } }, OPTIONS);
    },
  ],
  [
    "elicitation-sep1034-client-defaults",
    (client) =>
      client.callTool({ name: "test_client_elicitation_defaults", arguments: {} }, OPTIONS),
  ],
  ["sse-retry", (client) => client.callTool({ name: "test_reconnection", arguments: {} }, OPTIONS)],
  [
    "json-schema-2020-12-preservation",
    async (client) => {
      const { tools } = await client.listTools(undefined, OPTIONS);
      const { inputSchema } = tools.find(({ name }) => name === "json_schema_2020_12_tool");
      await client.callTool(
        { name: "json_schema_echo", arguments: { schema: inputSchema } },
        OPTIONS,
      );
    },
  ],
  ...STATELESS_SCENARIOS,
]);

const url = process.argv.at(-1);
const scenario = SCENARIOS.get(process.env.MCP_CONFORMANCE_SCENARIO);
if (scenario === undefined) {
  throw new Error(`MCP_CONFORMANCE_SCENARIO must be one of ${[...SCENARIOS.keys()].join(", ")}`);
}
if (process.argv.includes("--direct")) await play(url);
else await playThroughGateway(url);

async function playThroughGateway(backendUrl) {
  const { createVmcp } = await import("../../dist/index.js");
  const gateway = await createVmcp({
    backends: [{ name: "server", url: backendUrl, transport: "streamable-http" }],
    aggregation: { conflictResolution: "prefixOnConflict" },
    server: { port: 0 },
  });
  try {
    const gatewayUrl = await gateway.listen();
    // Then it is known whether the server has sessions.
    await gateway.probed();
    await play(gatewayUrl);
  } finally {
    await gateway.close();
  }
}

async function play(serverUrl) {
  const client = new Client(
    { name: "conformance-client", version: "1.0.0" },
    { capabilities: { elicitation: { form: { applyDefaults: true } } } },
  );
  // Accepts without a word: what was asked for comes from the defaults.
  client.setRequestHandler("elicitation/create", () => ({ action: "accept", content: {} }));
  const transport = new StreamableHTTPClientTransport(new URL(serverUrl));
  await client.connect(transport);
  try {
    await scenario(client);
  } finally {
    await transport.terminateSession();
    await client.close();
  }
}
