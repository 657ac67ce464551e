import { isBackendName } from "../domain/ids.ts";
import type { VmcpConfigInput } from "./load-config.ts";
import { ConfigError } from "./problems.ts";
import { splitWords } from "./shell-words.ts";

const FLAG = /^(?<name>[^=]*)=(?<target>.*)$/s;
const WEB_URL = /^https?:\/\//i;

/**
 * Makes a configuration of `NAME=URL` and `NAME=COMMAND ARG…` texts, as `--backend` takes them. The command
 * is split like a shell would split it; no shell ever runs it. Throws `ConfigError` naming every bad text.
 */
export function backendsFromFlags(flags: readonly string[]): VmcpConfigInput {
  const parsed = flags.map((flag) => parseFlag(flag));
  const faults = parsed.flatMap((result) => ("fault" in result ? [result.fault] : []));
  if (faults.length > 0) {
    throw new ConfigError(
      faults.map((message) => ({ file: "--backend", line: 1, column: 1, path: "", message })),
    );
  }
  return {
    backends: parsed.flatMap((result) => ("backend" in result ? [result.backend] : [])),
    operational: { sessionManagementV2: true },
  };
}

type FlagBackend =
  | { readonly name: string; readonly url: string }
  | { readonly name: string; readonly command: string; readonly args: string[] };

function parseFlag(flag: string): { readonly backend: FlagBackend } | { readonly fault: string } {
  const groups = FLAG.exec(flag)?.groups;
  const name = groups?.["name"] ?? "";
  const target = (groups?.["target"] ?? "").trim();
  if (groups === undefined || target === "") {
    return { fault: "must be NAME=URL or NAME=COMMAND, as in github=https://example.com/mcp" };
  }
  if (!isBackendName(name)) {
    return {
      fault: `${JSON.stringify(name)} is not a backend name: use 1 to 48 of A-Z, a-z, 0-9, _ and -`,
    };
  }
  if (WEB_URL.test(target)) return { backend: { name, url: target } };
  const [command, ...args] = splitWords(target) ?? [];
  if (command === undefined)
    return { fault: `the command of ${name} has a quote that is not closed` };
  return { backend: { name, command, args } };
}
