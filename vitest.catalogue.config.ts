import { defineConfig } from "vitest/config";
import { EntryLines } from "./test/catalogue/entry-lines.ts";
import { RETRY } from "./test/support/retry.ts";

/** Real processes in front of real processes: run apart from the project's own tests. */
export default defineConfig({
  test: {
    globalSetup: ["test/support/build-once.ts"],
    include: ["test/catalogue/**/*.test.ts"],
    reporters: [new EntryLines()],
    testTimeout: 20_000,
    hookTimeout: 60_000,
    retry: RETRY,
    // Of the entries that ask for a gateway of their own.
    maxConcurrency: 3,
  },
});
