import { writeFileSync } from "node:fs";
import { messageOf } from "../domain/errors.ts";
import { CliError } from "./cli-error.ts";
import { EXIT } from "./exit-codes.ts";

/** Readable for its owner alone: a configuration may come to hold secrets. */
const MODE = 0o600;

/** Writes a file that is not there yet, or any with `isForced`. Throws `CliError` with what to do. */
export function writeNewFile(path: string, text: string, isForced: boolean): void {
  try {
    writeFileSync(path, text, { flag: isForced ? "w" : "wx", mode: MODE });
  } catch (error) {
    const isThere = error instanceof Error && "code" in error && error.code === "EEXIST";
    throw isThere
      ? new CliError(EXIT.exists, `${path} is there already: add --force to overwrite it.`)
      : new CliError(EXIT.inputOutput, `${path} cannot be written: ${messageOf(error)}.`, {
          cause: error,
        });
  }
}
