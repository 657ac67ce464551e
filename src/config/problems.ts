/** Where a value stands in a configuration: keys and list positions from the top. */
export type ConfigPath = readonly (string | number)[];

/** One thing that is wrong with (or worth knowing about) a configuration, at its place in the file. */
export interface ConfigProblem {
  readonly file: string;
  /** 1-based; 1:1 where the configuration did not come from a text. */
  readonly line: number;
  readonly column: number;
  /** For example `backends[1].name`; empty where the whole file is meant. */
  readonly path: string;
  /** What was found and what would be right. Never holds a secret. */
  readonly message: string;
  /** For example `did you mean "incomingAuth"?`. */
  readonly suggestion?: string;
}

/** Thrown for a configuration that must not be used; `problems` holds every reason at once. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super(formatProblems(problems));
    this.problems = problems;
  }
}

/** One line per problem: `vmcp.yaml:3:5 backends[1].name: …`. Source lines are left out: they may hold secrets. */
export function formatProblems(problems: readonly ConfigProblem[]): string {
  return problems.map((entry) => formatProblem(entry)).join("\n");
}

/** What a check has to say, before it is known where in the file its path stands. */
export interface Finding {
  readonly severity: "problem" | "warning";
  readonly path: ConfigPath;
  readonly message: string;
  readonly suggestion?: string;
}

export function problem(path: ConfigPath, message: string, suggestion?: string): Finding {
  return finding("problem", path, message, suggestion);
}

export function warning(path: ConfigPath, message: string, suggestion?: string): Finding {
  return finding("warning", path, message, suggestion);
}

const PLAIN_KEY = /^[A-Za-z_$][\w$-]*$/;

/** `["backends", 1, "name"]` → `backends[1].name`; unusual keys are quoted, so that nothing can be smuggled into a terminal. */
export function pathText(path: ConfigPath): string {
  const text = path.map((segment) => {
    if (typeof segment === "number") return `[${String(segment)}]`;
    return PLAIN_KEY.test(segment) ? `.${segment}` : `[${JSON.stringify(segment)}]`;
  });
  return text.join("").replace(/^\./, "");
}

function finding(
  severity: Finding["severity"],
  path: ConfigPath,
  message: string,
  suggestion: string | undefined,
): Finding {
  return { severity, path, message, ...(suggestion === undefined ? {} : { suggestion }) };
}

function formatProblem({ file, line, column, path, message, suggestion }: ConfigProblem): string {
  const place = `${file}:${String(line)}:${String(column)}`;
  const what = path === "" ? message : `${path}: ${message}`;
  return suggestion === undefined ? `${place} ${what}` : `${place} ${what} (${suggestion})`;
}
