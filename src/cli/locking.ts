import { relative, resolve } from "node:path";
import { readBoundedFile } from "../config/read-bounded-file.ts";
import type { VmcpConfig } from "../config/vmcp-config.ts";
import { messageOf } from "../domain/errors.ts";
import { lockBackend, type Lock, type LockedBackend } from "../pinning/lock.ts";
import { MAX_LOCK_BYTES, parseLock } from "../pinning/lock-file.ts";
import { CliError } from "./cli-error.ts";
import { EXIT } from "./exit-codes.ts";
import { openLocalSession, type FailedBackend } from "./local-session.ts";
import type { Terminal } from "./terminal.ts";

export interface TakenLock {
  /** Of the backends that answered. */
  readonly lock: Lock;
  readonly failed: readonly FailedBackend[];
}

/** Starts every backend, takes down what it offers, and ends it. What is pinned plays no part in it. */
export async function takeLock(config: VmcpConfig): Promise<TakenLock> {
  const backends = config.backends.map((backend) => ({ ...backend, pinning: "off" as const }));
  await using session = await openLocalSession({ ...config, pinning: "off", backends });
  const { offered, instructions, failed } = session;
  const missing = new Set(failed.map(({ name }) => name));
  const locked = offered
    .filter(({ backend }) => !missing.has(backend))
    .map(({ backend, capabilities }): [string, LockedBackend] => [
      backend,
      lockBackend(capabilities, { instructions: instructions.get(backend) }),
    ]);
  return { lock: new Map(locked), failed };
}

/** Where the lock file is: as the command line says, else as the configuration says. Absolute. */
export function lockPath(
  named: string | undefined,
  { lockFile }: VmcpConfig,
  { cwd }: Terminal,
): string {
  return named === undefined ? lockFile : resolve(cwd, named);
}

/** Reads a lock file. Throws `CliError` where there is none, and `invalid_config` where it cannot be used. */
export function readLock(path: string, terminal: Terminal): Lock {
  const shown = shownPath(path, terminal);
  let text: string;
  try {
    text = readBoundedFile(path, MAX_LOCK_BYTES);
  } catch (error) {
    const reason = messageOf(error);
    throw new CliError(
      EXIT.noInput,
      `The lock file ${shown} ${reason}: write it with \`vmcp lock\`.`,
      { cause: error },
    );
  }
  return parseLock(text, shown);
}

/** As short as it can be named from the current folder. */
export function shownPath(path: string, { cwd }: Terminal): string {
  const shorter = relative(cwd, path);
  return shorter === "" || shorter.startsWith("..") ? path : shorter;
}
