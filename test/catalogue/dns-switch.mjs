// Loaded into the gateway: as long as the file that VMCP_CATALOGUE_DNS names exists, `localhost` has no address.
import dns from "node:dns";
import { existsSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import process from "node:process";

const { lookup } = dns;

dns.lookup = (hostname, ...rest) => {
  const isOff = existsSync(process.env["VMCP_CATALOGUE_DNS"] ?? "");
  if (hostname !== "localhost" || !isOff) return lookup(hostname, ...rest);
  const error = new Error(`getaddrinfo ENOTFOUND ${hostname}`);
  Object.assign(error, { code: "ENOTFOUND", errno: -3008, syscall: "getaddrinfo", hostname });
  process.nextTick(rest.at(-1), error);
  return {};
};

// Whoever imports `lookup` by name gets this one too.
syncBuiltinESMExports();
