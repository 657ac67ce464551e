import { defineConfig } from "vitest/config";

/** Programs of others stall now and then on shared machines: a fault fails twice, a stall does not. */
const RETRIES = process.env["CI"] === "true" ? 1 : 0;

/** Clients and servers of others: installed on first use, slower than the project's own tests and run apart from them. */
export default defineConfig({
  test: {
    globalSetup: ["test/peers/install.ts"],
    include: ["test/peers/**/*.peer.test.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 60_000 } },
    retry: RETRIES,
    // Every file starts a browser, agents or a dozen servers; more of them at once only make each other late.
    maxWorkers: 2,
  },
});
