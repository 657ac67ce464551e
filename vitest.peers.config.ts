import { defineConfig } from "vitest/config";

/** Clients and servers of others: installed on first use, slower than the project's own tests and run apart from them. */
export default defineConfig({
  test: {
    globalSetup: ["test/peers/install.ts"],
    include: ["test/peers/**/*.peer.test.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Every file starts a browser, agents or a dozen servers; more of them at once only make each other late.
    maxWorkers: 2,
  },
});
