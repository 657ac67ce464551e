import { packageVersion } from "../../app/version.ts";
import type { CommandAction } from "../commands.ts";
import { EXIT } from "../exit-codes.ts";

export const version: CommandAction = async ({ terminal }) => {
  terminal.out.write(`${packageVersion()}\n`);
  return EXIT.ok;
};
