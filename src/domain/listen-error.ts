import { VmcpError } from "./errors.ts";

/** Says why a port could not be opened: `address_in_use`, or `invalid_config` with what would be right. */
export function listenError(error: NodeJS.ErrnoException, host: string, port: number): VmcpError {
  const code = error.code ?? "unknown error";
  if (code === "EADDRINUSE") {
    return new VmcpError(
      "address_in_use",
      `Port ${port} on ${host} is already in use: stop what uses it, or choose another with --port`,
      { cause: error },
    );
  }
  const sentence =
    code === "EACCES"
      ? `Port ${port} on ${host} may not be opened by this user: choose one above 1023`
      : `Cannot listen on ${host}:${port} (${code}): check server.host and server.port`;
  return new VmcpError("invalid_config", sentence, { cause: error });
}

/** The endpoint as clients write it. */
export function endpointUrl(host: string, port: number, path: string): string {
  const name = host.includes(":") ? `[${host}]` : host;
  return `http://${name}:${port}${path}`;
}
