import { configDefaults, defineConfig } from "vitest/config";

/** Shared machines stall now and then, and a wait runs out: a fault fails twice, a stall does not. */
const END_TO_END_RETRIES = process.env["CI"] === "true" ? 1 : 0;

export default defineConfig({
  test: {
    exclude: [...configDefaults.exclude, "test/peers/**"],
    testTimeout: 20_000,
    hookTimeout: 30_000,
    // Most of the time is spent waiting for timers, processes and sockets: more workers than two cores need are quicker.
    maxWorkers: 3,
    // What the identity provider of the tests says of itself hides what the tests say.
    onConsoleLog: (log) => !log.includes("oidc-provider WARNING"),
    projects: [
      {
        extends: true,
        test: {
          name: "units",
          include: ["src/**/*.test.ts", "test/{architecture,support}/**/*.test.ts"],
          globalSetup: ["test/support/build-once.ts"],
        },
      },
      {
        extends: true,
        test: {
          name: "end to end",
          include: ["test/{e2e,conformance}/**/*.test.ts"],
          globalSetup: ["test/support/build-once.ts"],
          retry: END_TO_END_RETRIES,
        },
      },
    ],
  },
});
