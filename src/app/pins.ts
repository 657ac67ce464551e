import { createHash } from "node:crypto";
import { readBoundedFile } from "../config/read-bounded-file.ts";
import type { VmcpConfig } from "../config/vmcp-config.ts";
import { messageOf, VmcpError } from "../domain/errors.ts";
import { MAX_LOCK_BYTES, parseLock } from "../pinning/lock-file.ts";
import { Pins, type PinMode } from "../pinning/pins.ts";

/** The lock of one generation. */
export interface LoadedPins {
  /** Undefined where nothing is pinned. */
  readonly pins: Pins | undefined;
  /** Stands for the content of the lock file; empty where it was not read. */
  readonly content: string;
  /** Equal for equal locks that are held against the same backends in the same way. */
  readonly signature: string;
}

const UNPINNED: LoadedPins = { pins: undefined, content: "", signature: "" };

/** Reads the lock file where anything is pinned. Throws `invalid_config` where it is missing or cannot be used. */
export function loadPins(
  config: Pick<VmcpConfig, "backends" | "lockFile" | "pinning">,
): LoadedPins {
  const modes = new Map(
    config.backends.map(({ name, pinning }): [string, PinMode] => [
      name,
      pinning ?? config.pinning,
    ]),
  );
  const modeOf = (backend: string): PinMode => modes.get(backend) ?? config.pinning;
  if ([...modes.values()].every((mode) => mode === "off")) return UNPINNED;
  const text = readLock(config.lockFile);
  const pins = new Pins(parseLock(text, config.lockFile), modeOf);
  const content = createHash("sha256").update(text).digest("hex");
  return { pins, content, signature: JSON.stringify([content, ...modes]) };
}

function readLock(path: string): string {
  try {
    return readBoundedFile(path, MAX_LOCK_BYTES);
  } catch (error) {
    throw new VmcpError(
      "invalid_config",
      `The lock file ${path} ${messageOf(error)}: write it with \`vmcp lock\`, or set pinning to off`,
      { cause: error },
    );
  }
}
