// What the client does in the suite's client scenarios of the revision without sessions, which judge the gateway's side
// towards backends: the client itself has a session with the gateway.
import process from "node:process";

/** Far longer than any scenario's answer takes. */
const OPTIONS = { timeout: 5_000 };

const context = () => JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? "{}");

async function listAll(client) {
  const { tools } = await client.listTools(undefined, OPTIONS);
  return tools.map(({ name }) => name);
}

async function call(client, name, args = {}) {
  return client.callTool({ name, arguments: args }, OPTIONS);
}

export const STATELESS_SCENARIOS = [
  ["request-metadata", async (client) => void (await listAll(client))],
  [
    "http-standard-headers",
    async (client) => {
      for (const name of await listAll(client)) await call(client, name);
      const { resources } = await client.listResources(undefined, OPTIONS);
      for (const { uri } of resources) await client.readResource({ uri }, OPTIONS);
      const { prompts } = await client.listPrompts(undefined, OPTIONS);
      for (const { name } of prompts) await client.getPrompt({ name, arguments: {} }, OPTIONS);
    },
  ],
  [
    "http-custom-headers",
    async (client) => {
      await listAll(client);
      for (const { name, arguments: args } of context().toolCalls) await call(client, name, args);
    },
  ],
  [
    "http-invalid-tool-headers",
    async (client) => {
      for (const name of await listAll(client))
        await call(client, name, { region: "r", value: "v" });
    },
  ],
  [
    "sep-2322-client-request-state",
    async (client) => {
      await listAll(client);
      const rounds = [call(client, "test_mrtr_echo_state"), call(client, "test_mrtr_no_state")];
      await Promise.all([...rounds, call(client, "test_mrtr_unrelated")]);
      await call(client, "test_mrtr_no_result_type");
    },
  ],
  ["json-schema-ref-no-deref", async (client) => void (await listAll(client))],
];
