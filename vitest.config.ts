import { configDefaults, defineConfig } from "vitest/config";
import { RETRY } from "./test/support/retry.ts";

export default defineConfig({
  test: {
    exclude: [...configDefaults.exclude, "test/peers/**"],
    testTimeout: 20_000,
    hookTimeout: 30_000,
    retry: RETRY,
    // A wait that is in vain fails late; one that ends too early fails whenever the machine stalls.
    expect: { poll: { timeout: 15_000 } },
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
        },
      },
    ],
  },
});
