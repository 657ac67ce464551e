import { defineConfig } from "vitest/config";
import { RETRY } from "./test/support/retry.ts";

/** Clients and servers of others: installed on first use, slower than the project's own tests and run apart from them. */
export default defineConfig({
  test: {
    globalSetup: ["test/peers/install.ts"],
    include: ["test/peers/**/*.peer.test.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 60_000 } },
    retry: RETRY,
    // Every file starts a browser, agents or a dozen servers; more of them at once only make each other late.
    maxWorkers: 2,
  },
});
