import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { VmcpOptions } from "../../src/app/vmcp.ts";
import { Vmcp } from "../../src/app/vmcp.ts";
import { resolveConfig, type VmcpConfigInput } from "../../src/config/load-config.ts";
import { createSdkHandler } from "../../src/sdk/sdk-handler.ts";
import { startGateway, type Gateway } from "./gateway.ts";

/** One way of putting the session manager behind HTTP. */
export interface Edge {
  start(input: VmcpConfigInput, options?: VmcpOptions): Promise<Gateway>;
}

/** The gateway's own edge, and the one made from the official SDK's server. */
export const EDGES: readonly (readonly [string, Edge])[] = [
  ["own HTTP edge", { start: startGateway }],
  ["SDK server", { start: startSdkEdge }],
];

async function startSdkEdge(input: VmcpConfigInput, options: VmcpOptions = {}): Promise<Gateway> {
  const config = resolveConfig({
    ...input,
    aggregation: { conflictResolution: "prefixOnConflict", ...input.aggregation },
  });
  const vmcp = await Vmcp.create(config, options);
  const { sessions, serverInfo } = vmcp;
  const handler = createSdkHandler({ sessions, serverInfo });
  const server = createServer((request, response) => void handler(request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // A server that listens on TCP has an address object.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    vmcp,
    async [Symbol.asyncDispose]() {
      await handler[Symbol.asyncDispose]();
      await vmcp.close();
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
