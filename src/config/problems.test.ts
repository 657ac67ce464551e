import { expect, test } from "vitest";
import type { ConfigProblem } from "./problems.ts";
import { ConfigError, formatProblems, pathText } from "./problems.ts";

const PROBLEM: ConfigProblem = {
  file: "vmcp.yaml",
  line: 3,
  column: 5,
  path: "backends[1].name",
  message: "is missing",
};

test("each problem is one line that editors and terminals can jump to", () => {
  const other = { ...PROBLEM, line: 4, path: "", suggestion: 'did you mean "x"?' };

  expect(formatProblems([PROBLEM, other])).toBe(
    'vmcp.yaml:3:5 backends[1].name: is missing\nvmcp.yaml:4:5 is missing (did you mean "x"?)',
  );
  expect(new ConfigError([PROBLEM])).toMatchObject({
    name: "ConfigError",
    message: "vmcp.yaml:3:5 backends[1].name: is missing",
    problems: [PROBLEM],
  });
});

test.for([
  [[], ""],
  [["backends", 1, "name"], "backends[1].name"],
  [["mcp", "my server", "env"], 'mcp["my server"].env'],
  [["headers", "X-Key"], "headers.X-Key"],
  [["a\u001b[31m\n"], '["a\\u001b[31m\\n"]'],
] as const)("the path %j is written %s", ([path, text]) => {
  expect(pathText(path)).toBe(text);
});
