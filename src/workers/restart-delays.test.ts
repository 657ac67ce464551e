import { expect, test } from "vitest";
import { MAX_CRASHES, RestartDelays } from "./restart-delays.ts";

function createDelays(): { readonly delays: RestartDelays; readonly run: (ms: number) => unknown } {
  let nowMs = 0;
  const delays = new RestartDelays({ now: () => nowMs });
  return {
    delays,
    run: (ms) => {
      delays.started();
      nowMs += ms;
      return delays.crashed();
    },
  };
}

test("each start waits twice as long, and the fifth end in a row is the last", () => {
  const { run } = createDelays();

  const waits = Array.from({ length: MAX_CRASHES }, () => run(10));

  expect(waits).toEqual([100, 200, 400, 800, undefined]);
});

test("an end after a good while begins a new row", () => {
  const { run } = createDelays();
  run(10);
  run(10);

  const waits = [run(30_000), run(10), run(30_000)];

  expect(waits).toEqual([100, 200, 100]);
});
