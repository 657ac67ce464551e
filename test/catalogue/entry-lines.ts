import type { Reporter, TestCase, TestModule } from "vitest/node";

/** Prints a line for each entry that got another answer than it should, and how many there were. */
export class EntryLines implements Reporter {
  onTestCaseResult(test: TestCase): void {
    const { state, errors = [] } = test.result();
    if (state !== "failed") return;
    const { differences = [] } = test.meta();
    const [error] = errors;
    const found = differences.length > 0 ? differences.join("; ") : firstLine(error?.message);
    console.log(`✗ ${test.name}: ${found}`);
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly { message?: string }[]): void {
    for (const module of modules)
      for (const error of module.errors()) console.log(`✗ ${firstLine(error.message)}`);
    for (const error of errors) console.log(`✗ ${firstLine(error.message)}`);
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const count = (wanted: string): number =>
      tests.filter((test) => test.result().state === wanted).length;
    console.log(
      `${count("passed")} as expected, ${count("failed")} other, ${count("skipped")} that wait for a part that does not exist yet`,
    );
  }
}

function firstLine(text = "no reason was given"): string {
  return text.split("\n")[0] ?? "";
}
