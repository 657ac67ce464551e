// Prints, of the vitest reports that are named, each test that failed or passed only when it was repeated, with its
// message, and a last line "N passed, N failed". A file that could not be loaded has no tests to count: it counts as one
// that failed. So does a run without a report.
import { readFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";

const MAX_MESSAGE_LINES = 12;

let passed = 0;
let failed = 0;
for (const file of process.argv.slice(2)) {
  const report = read(file);
  if (report === undefined) {
    failed += 1;
    console.log(`\nFAILED: ${path.basename(file, ".json")} ended without a report`);
    continue;
  }
  passed += report.numPassedTests;
  failed += report.numFailedTests;
  for (const { name, status, message, assertionResults } of report.testResults) {
    const where = path.relative(process.cwd(), name);
    if (status === "failed" && assertionResults.length === 0) {
      failed += 1;
      tell("FAILED TO LOAD", where, [message]);
    }
    for (const { fullName, status: outcome, failureMessages } of assertionResults) {
      const test = `${where} > ${fullName}`;
      if (outcome === "failed") tell("FAILED", test, failureMessages);
      else if (failureMessages.length > 0) tell("PASSED WHEN REPEATED", test, failureMessages);
    }
  }
}
console.log(`\n${passed} passed, ${failed} failed`);

function read(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}

function tell(outcome, what, messages) {
  console.log(`\n${outcome}: ${what}`);
  for (const message of messages) {
    const lines = message.split("\n").filter((line) => !line.includes("node_modules"));
    for (const line of lines.slice(0, MAX_MESSAGE_LINES)) console.log(`    ${line}`);
  }
}
