// An MCP server that keeps state: one tool that counts from 1 in each process. The examples put it behind the gateway.
import { McpServer } from "@modelcontextprotocol/server";
import { StdioServerTransport } from "@modelcontextprotocol/server/stdio";

let count = 0;
const server = new McpServer({ name: "counter", version: "1.0.0" });

server.registerTool("count", { description: "1, 2, 3 … within one session." }, () => {
  count += 1;
  return { content: [{ type: "text", text: String(count) }] };
});

await server.connect(new StdioServerTransport());
