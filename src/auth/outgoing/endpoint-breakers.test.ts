import { expect, test } from "vitest";
import { EndpointBreakers } from "./endpoint-breakers.ts";

const URL = "https://issuer.example/token";

function failing(times: number) {
  const clock = { nowMs: 5_000 };
  const breakers = new EndpointBreakers(() => clock.nowMs);
  for (let failure = 1; failure <= times; failure += 1) breakers.failed(URL);
  return { clock, breakers };
}

test("an endpoint is left alone for a minute after five failures in a row", () => {
  const { clock, breakers } = failing(5);

  const atOnce = breakers.admit(URL);
  clock.nowMs += 59_999;
  const nearTheEnd = breakers.admit(URL);

  expect([atOnce, nearTheEnd]).toEqual([60_000, 1]);
});

test("four failures, and failures of another endpoint, leave it as it is", () => {
  const { breakers } = failing(4);
  breakers.failed("https://other.example/token");

  expect(breakers.admit(URL)).toBe(0);
});

test("a success counts all failures before it as nothing", () => {
  const { breakers } = failing(4);

  breakers.succeeded(URL);
  breakers.failed(URL);

  expect(breakers.admit(URL)).toBe(0);
});

test("one request is let through after the minute, and all others wait for what it finds", () => {
  const { clock, breakers } = failing(5);
  clock.nowMs += 60_000;

  const admitted = [breakers.admit(URL), breakers.admit(URL)];
  breakers.succeeded(URL);

  expect(admitted).toEqual([0, 60_000]);
  expect(breakers.admit(URL)).toBe(0);
});

test("no more than 256 failing endpoints are remembered", () => {
  const { breakers } = failing(5);

  for (let index = 0; index < 256; index += 1) breakers.failed(`https://${String(index)}.example/`);

  expect(breakers.admit(URL)).toBe(0);
});
