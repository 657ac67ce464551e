import process from "node:process";

/**
 * How often CI repeats a test that failed. Shared machines stall now and then, and a wait runs out: a fault fails twice, a
 * stall does not. A property that failed has shown a counterexample, and the next run looks elsewhere: it stands.
 */
export const RETRY =
  process.env["CI"] === "true" ? { count: 1, condition: /^(?!Property failed)/ } : 0;
