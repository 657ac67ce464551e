import type { ConfigProblem } from "../config/problems.ts";
import { oneLine } from "./text.ts";

/** One line each: where it is, what was found, what would be right. */
export function describeProblems(problems: readonly ConfigProblem[]): readonly string[] {
  return problems.map(({ file, line, column, path, message, suggestion }) => {
    const isFlag = file.startsWith("--");
    const place = isFlag ? file : `${file}:${String(line)}:${String(column)}`;
    const subject = path === "" ? "" : `${path}: `;
    const hint = suggestion === undefined ? "" : ` (${suggestion})`;
    return oneLine(`${place} ${subject}${message}${hint}`);
  });
}
