import { VmcpError } from "../domain/errors.ts";
import type { MultiSessionFactory } from "../session/session.ts";

export interface SessionSourceOptions<Factory extends MultiSessionFactory> {
  /** True: a session owns live connections. False: it knows the routes, and each call opens its own. */
  readonly sessionManagementV2: boolean;
  /** Makes sessions with connections of their own; needed when the flag is on, ignored when it is off. */
  readonly sessionFactory: Factory | undefined;
  /** Makes sessions that only discover; used when the flag is off. */
  readonly discovery: Factory;
}

/** Chooses who makes sessions. Throws `invalid_config` where the flag asks for a factory that is not there. */
export function chooseSessionFactory<Factory extends MultiSessionFactory>(
  options: SessionSourceOptions<Factory>,
): Factory {
  if (!options.sessionManagementV2) return options.discovery;
  if (options.sessionFactory === undefined) {
    throw new VmcpError(
      "invalid_config",
      "operational.sessionManagementV2 is enabled but no sessionFactory was provided: provide one, or turn the flag off",
    );
  }
  return options.sessionFactory;
}
