const PLAIN_NAME = /^[A-Za-z0-9_-]{1,48}$/;
const DEFAULT_NAME = "vmcp";

/** Lines that say how to add the endpoint to well-known clients, each ready to be pasted. */
export function connectHints(gatewayName: string, url: string): readonly string[] {
  const name = plainName(gatewayName);
  return [
    "Claude Code:",
    `  ${addCommand(gatewayName, url)}`,
    "Cursor, in ~/.cursor/mcp.json:",
    `  ${JSON.stringify({ mcpServers: { [name]: { url } } })}`,
    "VS Code, in .vscode/mcp.json:",
    `  ${JSON.stringify({ servers: { [name]: { type: "http", url } } })}`,
  ];
}

/** The shortest of the ways: one command. */
export function addCommand(gatewayName: string, url: string): string {
  return `claude mcp add --transport http ${plainName(gatewayName)} ${url}`;
}

function plainName(gatewayName: string): string {
  return PLAIN_NAME.test(gatewayName) ? gatewayName : DEFAULT_NAME;
}
