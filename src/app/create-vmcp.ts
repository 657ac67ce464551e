import { resolveConfig, type LoadedConfig, type VmcpConfigInput } from "../config/load-config.ts";
import type { VmcpConfig } from "../config/vmcp-config.ts";
import { Vmcp, type VmcpOptions } from "./vmcp.ts";

export interface CreateVmcpOptions extends Omit<VmcpOptions, "resolveConfig" | "seat"> {
  /**
   * Where references such as `${env:TOKEN}` and `…Env` fields find their variables; `process.env` for those of this
   * process. Default: none, because a library does not read its host's environment unasked.
   */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The folder that relative paths of the configuration start at. Default: the current one. */
  readonly baseDir?: string;
}

/**
 * Builds a gateway from the content of a configuration file as an object, or from what `loadConfig` returned.
 *
 * Nothing is opened before `listen` or `openSession`. An object without `operational` gives every client sessions of
 * its own with the backends. Rejects with `ConfigError`, which holds every problem, or `invalid_config`.
 */
export async function createVmcp(
  config: VmcpConfigInput | LoadedConfig,
  options: CreateVmcpOptions = {},
): Promise<Vmcp> {
  const resolve = (input: VmcpConfigInput): VmcpConfig => toConfig(input, options);
  return Vmcp.create(toConfig(config, options), { ...options, resolveConfig: resolve });
}

function toConfig(
  config: VmcpConfigInput | LoadedConfig,
  { env, baseDir }: CreateVmcpOptions,
): VmcpConfig {
  if ("config" in config) return config.config;
  return resolveConfig(config, { ...(env && { env }), ...(baseDir !== undefined && { baseDir }) });
}
