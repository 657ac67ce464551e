import { availableParallelism } from "node:os";
import type { VmcpConfig } from "../../config/vmcp-config.ts";
import { MAX_WORKERS } from "../../workers/owned-session-id.ts";
import { CliError } from "../cli-error.ts";
import { EXIT } from "../exit-codes.ts";
import type { Flags } from "../flags.ts";

/** How many processes are to serve: as `--workers` says, else `server.workers`. Throws `CliError`. */
export function countWorkers(flags: Flags, { server }: VmcpConfig): number {
  const text = flags.text("workers");
  const asked = text === undefined || text === "auto" ? (text ?? server.workers) : Number(text);
  const count = asked === "auto" ? Math.min(MAX_WORKERS, availableParallelism()) : asked;
  const isCount = Number.isInteger(count) && count >= 1 && count <= MAX_WORKERS;
  if (isCount && (text === undefined || /^(?:auto|\d{1,2})$/.test(text))) return count;
  const rule = `a whole number from 1 to ${MAX_WORKERS}, or auto`;
  throw new CliError(EXIT.usage, `--workers must be ${rule}, not ${JSON.stringify(text)}.`);
}
