import { CliError } from "../cli-error.ts";
import type { CommandAction } from "../commands.ts";
import { renderCompletion, SHELLS } from "../completion-scripts.ts";
import { EXIT } from "../exit-codes.ts";

/** Prints a completion script. */
export const completion: CommandAction = async ({ args, terminal }) => {
  const [named = ""] = args;
  const shell = SHELLS.find((known) => known === named);
  if (shell === undefined) {
    throw new CliError(
      EXIT.usage,
      `Name one of ${SHELLS.join(", ")}, not ${JSON.stringify(named)}.`,
    );
  }
  terminal.out.write(renderCompletion(shell));
  return EXIT.ok;
};
