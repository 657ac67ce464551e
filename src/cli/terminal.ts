import { homedir } from "node:os";
import process from "node:process";
import type { Readable, Writable } from "node:stream";
import { text as readText } from "node:stream/consumers";

/** One of the two places where a command writes. */
export interface Output {
  write(text: string): void;
  /** Whether a person looks at it who can be shown colours and moving lines. */
  readonly isInteractive: boolean;
  readonly hasColour: boolean;
  /** Width in characters; without limit where nobody looks. */
  readonly columns: number;
  /** Height in lines; without limit where nobody looks. */
  readonly rows: number;
}

/** Everything outside of itself that a command touches, so that tests can stand in for it. */
export interface Terminal {
  readonly out: Output;
  readonly err: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly home: string;
  /** As `process.platform`. */
  readonly platform: string;
  /** Whether somebody's terminal is at either end, which may be closed. */
  readonly isAttached: boolean;
  readStdin(): Promise<string>;
  /** Standard input and output as they are, for a command that speaks a protocol over them. */
  stdio(): { readonly input: Readable; readonly output: Writable };
}

const FALLBACK_COLUMNS = 80;
const FALLBACK_ROWS = 24;

/** The terminal that this process was started in. */
export function processTerminal(): Terminal {
  return {
    out: toOutput(process.stdout),
    err: toOutput(process.stderr),
    env: process.env,
    cwd: process.cwd(),
    home: homedir(),
    platform: process.platform,
    isAttached: [process.stdin, process.stdout].some(({ isTTY }) => isTTY),
    readStdin: async () => readText(process.stdin),
    stdio: () => ({ input: process.stdin, output: process.stdout }),
  };
}

function toOutput(stream: NodeJS.WriteStream): Output {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
  // A reader that has gone, as in `vmcp list | head`, is no fault of the command.
  stream.on("error", () => {});
  const isInteractive = stream.isTTY && TERM !== "dumb";
  const isForced = FORCE_COLOR !== undefined && FORCE_COLOR !== "" && FORCE_COLOR !== "0";
  return {
    write: (text) => void stream.write(text),
    isInteractive,
    hasColour: (NO_COLOR === undefined || NO_COLOR === "") && (isInteractive || isForced),
    get columns() {
      return isInteractive ? stream.columns || FALLBACK_COLUMNS : Number.POSITIVE_INFINITY;
    },
    get rows() {
      return isInteractive ? stream.rows || FALLBACK_ROWS : Number.POSITIVE_INFINITY;
    },
  };
}
