import { PassThrough, Readable } from "node:stream";
import type { Output, Terminal } from "../../src/cli/terminal.ts";

/** An output that keeps what is written. Neither interactive nor coloured, and without a width, unless told. */
export interface FakeOutput extends Output {
  readonly text: string;
}

/** A terminal for commands under test; what they write can be read back. */
export interface FakeTerminal extends Terminal {
  readonly out: FakeOutput;
  readonly err: FakeOutput;
}

export interface FakeTerminalOptions {
  readonly cwd?: string;
  readonly home?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly output?: Partial<Omit<Output, "write">>;
}

export function fakeTerminal(options: FakeTerminalOptions = {}): FakeTerminal {
  const { cwd = "/", home = "/nowhere", env = {}, stdin = "", output } = options;
  return {
    out: fakeOutput(output),
    err: fakeOutput(output),
    env,
    cwd,
    home,
    platform: "linux",
    isAttached: false,
    readStdin: async () => stdin,
    stdio: () => ({ input: Readable.from([Buffer.from(stdin)]), output: new PassThrough() }),
  };
}

export function fakeOutput(output: Partial<Omit<Output, "write">> = {}): FakeOutput {
  let text = "";
  return {
    isInteractive: false,
    hasColour: false,
    columns: Number.POSITIVE_INFINITY,
    rows: Number.POSITIVE_INFINITY,
    ...output,
    write: (more) => {
      text += more;
    },
    get text() {
      return text;
    },
  };
}
