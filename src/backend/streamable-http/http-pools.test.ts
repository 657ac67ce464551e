import { expect, test } from "vitest";
import type { RequestSender } from "../../lib/http-client/request-sender.ts";
import { HttpPools } from "./http-pools.ts";

const ORIGIN = "http://127.0.0.1:9";
const OPTIONS = { connectMs: 1_000 };

/** The code of the error with which a request ends. */
async function failureOf(sender: RequestSender): Promise<unknown> {
  return new Promise((resolve) => {
    sender.dispatch(
      { method: "GET", path: "/", headers: [] },
      {
        onConnect() {},
        onHeaders() {},
        onData: () => true,
        onComplete: () => resolve("an answer"),
        onError: (error) => resolve("code" in error && error.code),
      },
    );
  });
}

test("backends at one origin share their connections, unless they trust or wait otherwise", async () => {
  await using pools = new HttpPools();

  const first = pools.at(ORIGIN, OPTIONS);

  expect(pools.at(ORIGIN, { ...OPTIONS })).toBe(first);
  expect(pools.at(ORIGIN, { connectMs: 2_000 })).not.toBe(first);
  expect(pools.at(ORIGIN, { ...OPTIONS, caBundle: "a" })).not.toBe(first);
  expect(pools.at("http://127.0.0.1:10", OPTIONS)).not.toBe(first);
});

test("what is asked of pools that are closed fails, whether they were there before or not", async () => {
  const pools = new HttpPools();
  const { calls } = pools.at(ORIGIN, OPTIONS);

  await pools[Symbol.asyncDispose]();
  const late = pools.at(ORIGIN, OPTIONS);

  expect([await failureOf(calls), await failureOf(late.control)]).toEqual([
    "ERR_CLIENT_CLOSED",
    "ERR_CLIENT_CLOSED",
  ]);
});
