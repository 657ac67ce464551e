import { resolve } from "node:path";
import type { CommandAction } from "../commands.ts";
import { EXIT } from "../exit-codes.ts";
import { writeNewFile } from "../write-new-file.ts";

const DEFAULT_FILE = "vmcp.yaml";

/** Works as it is: its one backend needs nothing but npx. */
const STARTER = `# One MCP endpoint in front of the backends below. Every field: docs/reference/config.md
name: vmcp

backends:
  # A program that speaks MCP on its standard input and output. No shell runs it.
  - name: everything
    command: npx
    args: [-y, "@modelcontextprotocol/server-everything"]

  # A server that is running already. Secrets are references, never values.
  # - name: github
  #   url: https://api.githubcopilot.com/mcp/
  #   headers:
  #     Authorization: Bearer \${env:GITHUB_TOKEN}

aggregation:
  # Every tool and prompt is called BACKEND_NAME. Others: prefixOnConflict, priority, manual.
  conflictResolution: prefix

operational:
  # Each client has a session of its own with every backend, which lasts from call to call.
  sessionManagementV2: true

# server:
#   host: 127.0.0.1
#   port: 4483
`;

/** Writes a small configuration to start from. */
export const init: CommandAction = async ({ args, flags, terminal }) => {
  const file = args[0] ?? DEFAULT_FILE;
  writeNewFile(resolve(terminal.cwd, file), STARTER, flags.isSet("force"));
  const next = file === DEFAULT_FILE ? "vmcp serve" : `vmcp serve ${file}`;
  terminal.out.write(`Wrote ${file}. Start it with: ${next}\n`);
  return EXIT.ok;
};
