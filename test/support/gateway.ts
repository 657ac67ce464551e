import { resolveConfig, type VmcpConfigInput } from "../../src/config/load-config.ts";
import { Vmcp, type VmcpOptions } from "../../src/app/vmcp.ts";

/** A gateway in this process, listening on a free loopback port. */
export interface Gateway extends AsyncDisposable {
  readonly url: string;
  readonly vmcp: Vmcp;
}

/**
 * Starts a gateway with session-scoped connections, unless the configuration says otherwise. Names stay as
 * they are where they do not collide.
 */
export async function startGateway(
  input: VmcpConfigInput,
  options: VmcpOptions = {},
): Promise<Gateway> {
  const config = resolveConfig({
    ...input,
    aggregation: { conflictResolution: "prefixOnConflict", ...input.aggregation },
    server: { port: 0, ...input.server },
  });
  const vmcp = await Vmcp.create(config, options);
  const url = await vmcp.listen();
  return { url, vmcp, [Symbol.asyncDispose]: async () => vmcp.close() };
}
