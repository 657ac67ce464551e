import { basename } from "node:path";
import { statSync } from "node:fs";
import { VmcpError } from "../../domain/errors.ts";
import { backendError, codeOf } from "../node-errors.ts";
import type { BackendSettings } from "../options.ts";

/** A program and all that its process is started with. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string | undefined;
}

/** Checks what is configured, once per backend. Throws `invalid_config` naming what is wrong. */
export function toCommand(settings: BackendSettings): Command {
  const { name, command, args = [], env = {}, cwd } = settings;
  if (command === undefined || command === "") {
    throw new VmcpError("invalid_config", `Backend "${name}" needs a command for transport stdio`);
  }
  const texts = [command, cwd ?? "", ...args, ...Object.entries(env).flat()];
  if (texts.some((text) => text.includes("\0"))) {
    throw new VmcpError(
      "invalid_config",
      `Backend "${name}": its command, arguments and environment must not hold NUL characters`,
    );
  }
  return { program: command, args, env: { ...inheritedVariables(), ...env }, cwd };
}

/** Says why a program did not start. Of its path only the last part is shown. */
export function spawnError(backend: string, { program, cwd }: Command, thrown: unknown): VmcpError {
  const code = codeOf(thrown);
  const shown = JSON.stringify(basename(program));
  return backendError(backend, "backend_unreachable", `cannot start: ${reason()}`, {
    executionState: "not_executed",
    cause: thrown,
  });

  function reason(): string {
    if (code === "ENOENT" && cwd !== undefined && !isDirectory(cwd)) {
      return "its working directory does not exist";
    }
    if (code === "ENOENT") {
      return `command ${shown} was not found${program.includes("/") ? "" : " on PATH"}`;
    }
    if (code === "EACCES") return `command ${shown} may not be executed`;
    return `command ${shown} failed to start${code === "" ? "" : ` (${code})`}`;
  }
}

/** All that a child gets to know of our own environment: the rest may hold secrets of others. */
const INHERITED_VARIABLES = [
  "PATH",
  "HOME",
  "LANG",
  "LOGNAME",
  "USER",
  "SHELL",
  "TERM",
  "TMPDIR",
] as const;

function inheritedVariables(): Record<string, string> {
  // A program is found on our PATH, and nobody else can say what that is.
  // oxlint-disable-next-line node/no-process-env
  const own = process.env;
  return Object.fromEntries(
    INHERITED_VARIABLES.flatMap((name) => {
      const value = own[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
