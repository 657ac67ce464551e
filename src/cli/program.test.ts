import { expect, test } from "vitest";
import { fakeTerminal } from "../../test/support/fake-terminal.ts";
import { COMMANDS } from "./commands.ts";
import { parseCommandLine } from "./program.ts";

test.for(COMMANDS)(
  "$name has help that names its options and examples",
  ({ name, options, examples }) => {
    const terminal = fakeTerminal();

    const command = parseCommandLine([name, "--help"], terminal);

    expect(command).toBeUndefined();
    for (const { flags } of options) expect(terminal.out.text).toContain(flags);
    for (const example of examples) expect(terminal.out.text).toContain(example);
  },
);

test.for(COMMANDS)("the code of $name is there", async ({ load }) => {
  await expect(load()).resolves.toBeTypeOf("function");
});

test("a command that is understood is not run before it is told to", () => {
  const terminal = fakeTerminal({ cwd: "/no-such-folder" });

  const command = parseCommandLine(["init"], terminal);

  expect(command).toBeTypeOf("function");
  expect(terminal.out.text + terminal.err.text).toBe("");
});

test.for([
  [["serv"], "unknown command 'serv' (Did you mean serve?)"],
  [["serve", "--prt", "1"], "unknown option '--prt' (Did you mean --port?)"],
  [["serve", "--port"], "option '-p, --port <PORT>' argument missing."],
  [["call"], "missing required argument 'TOOL'."],
] as const)("%j is refused in a sentence", ([argv, message]) => {
  const terminal = fakeTerminal();

  expect(() => parseCommandLine(argv, terminal)).toThrow(
    expect.objectContaining({ exitCode: 64, message }),
  );
  expect(terminal.err.text).toBe("");
});
