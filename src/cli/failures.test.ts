import { expect, test } from "vitest";
import { fakeTerminal } from "../../test/support/fake-terminal.ts";
import { ConfigError } from "../config/problems.ts";
import { VmcpError } from "../domain/errors.ts";
import { CliError } from "./cli-error.ts";
import { EXIT, EXIT_CODE_OF, EXIT_CODE_ROWS } from "./exit-codes.ts";
import { reportFailure } from "./failures.ts";

const PROBLEM = { file: "vmcp.yaml", line: 2, column: 3, path: "name", message: "is missing" };

test("an error of the command line is its sentence", () => {
  const terminal = fakeTerminal();

  const code = reportFailure(new CliError(EXIT.exists, "It is there."), terminal);

  expect(code).toBe(73);
  expect(terminal.err.text).toBe("vmcp: It is there.\n");
});

test("one problem of a configuration is one line, several are a list", () => {
  const one = fakeTerminal();
  const two = fakeTerminal();

  reportFailure(new ConfigError([PROBLEM]), one);
  const code = reportFailure(new ConfigError([PROBLEM, { ...PROBLEM, line: 9 }]), two);

  expect(code).toBe(78);
  expect(one.err.text).toBe("vmcp: vmcp.yaml:2:3 name: is missing\n");
  expect(two.err.text).toBe(
    "vmcp: 2 problems in the configuration:\nvmcp.yaml:2:3 name: is missing\nvmcp.yaml:9:3 name: is missing\n",
  );
});

test("an error of the gateway ends in its code and as a sentence", () => {
  const terminal = fakeTerminal();

  const code = reportFailure(new VmcpError("address_in_use", "Port 1 is in use"), terminal);

  expect(code).toBe(71);
  expect(terminal.err.text).toBe("vmcp: Port 1 is in use.\n");
});

test("anything else is a fault of ours, whose place is shown on demand", () => {
  const usual = fakeTerminal();
  const curious = fakeTerminal({ env: { VMCP_DEBUG: "1" } });
  const error = new TypeError("x is not a function");

  const code = reportFailure(error, usual);
  reportFailure(error, curious);

  expect(code).toBe(70);
  expect(usual.err.text).toMatch(/^vmcp: A fault of vmcp itself: x is not a function\. .*\n$/);
  expect(curious.err.text).toContain("failures.test.ts");
});

test("control characters of others do not reach the terminal", () => {
  const terminal = fakeTerminal();

  reportFailure(new VmcpError("backend_closed", "said \u001B[2J\nnothing"), terminal);

  expect(terminal.err.text).toBe("vmcp: said [2J nothing.\n");
});

test("on a terminal long sentences are broken between words", () => {
  const terminal = fakeTerminal({ output: { columns: 30 } });

  reportFailure(new CliError(EXIT.exists, "The file is there already, and it is kept."), terminal);

  expect(terminal.err.text).toBe("vmcp: The file is there\n  already, and it is kept.\n");
});

test("every exit code that can occur is explained", () => {
  const explained = EXIT_CODE_ROWS.map(([code]) => code);

  expect(new Set(explained)).toEqual(new Set(Object.values(EXIT)));
  expect(explained).toEqual(expect.arrayContaining(Object.values(EXIT_CODE_OF)));
});
