import { expect, test } from "vitest";
import { type Fields, knobsOf, type StrategyRow } from "./strategy-knobs.ts";

const BASE: Fields = { providerName: "p1" };

const ROWS: readonly StrategyRow[] = [
  [
    "providerName: is the backend whose sign-in gives the token",
    {},
    { providerName: "p2" },
    { failure: expect.stringContaining('"p2" needs its user to sign in') },
  ],
];

const { seen, resolved } = knobsOf("upstream_inject", "upstreamInject", BASE);

test.for(ROWS)("outgoingAuth.default.%s", async ([, before, after, expected]) => {
  expect(await seen("default", before)).not.toMatchObject(expected);
  expect(await seen("default", after)).toMatchObject(expected);
});

test.for(ROWS)("outgoingAuth.backends.NAME.%s", async ([, before, after, expected]) => {
  expect(await seen("backends", before)).not.toMatchObject(expected);
  expect(await seen("backends", after)).toMatchObject(expected);
});

test.for(ROWS)("outgoingAuth.default.upstreamInject.%s", ([, before, after]) => {
  expect(resolved("default", "upstreamInject", after)).toEqual(resolved("default", "flat", after));
  expect(resolved("default", "upstreamInject", after)).not.toEqual(
    resolved("default", "upstreamInject", before),
  );
});

test.for(ROWS)("outgoingAuth.backends.NAME.upstreamInject.%s", ([, before, after]) => {
  expect(resolved("backends", "upstreamInject", after)).toEqual(
    resolved("backends", "flat", after),
  );
  expect(resolved("backends", "upstreamInject", after)).not.toEqual(
    resolved("backends", "upstreamInject", before),
  );
});
