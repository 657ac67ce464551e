import { expect, onTestFinished, test } from "vitest";
import { ParkedRounds } from "./parked-rounds.ts";
import { Round, type Caller, type RoundHost } from "./round.ts";

const HOST: RoundHost = {
  answer() {},
  notify() {},
  park: () => "",
  relay: () => "",
};

const CALLER: Caller = {
  envelope: { revision: "2026-07-28", capabilities: {}, info: {} },
  outlet: { listen() {} },
  event: () => true,
  answer() {},
  askForInput() {},
  fail() {},
};

/** The calls that wait for their clients, and which of them were given up: each is named by who parked it. */
class Place {
  readonly rounds = new ParkedRounds(() => 60_000);
  readonly givenUp: string[] = [];

  constructor() {
    onTestFinished(() => this.rounds.abandonAll("The test is over"));
  }

  park(name: string, sessionKey: string, owner?: string): void {
    const round = new Round({ sessionKey, method: "tools/call", subject: "t" }, HOST);
    const cancel = (): void => void this.givenUp.push(name);
    round.follow({ cancel, pause() {}, resume() {} }, CALLER);
    this.rounds.park(round, owner);
  }

  /** Parks that many calls of the owner, no more than fit in one session in each of its sessions. */
  fill(owner: string | undefined, count: number): void {
    for (let n = 0; n < count; n += 1) {
      const session = Math.floor(n / 60);
      this.park(`${owner} ${n}`, `${owner} ${session}`, owner);
    }
  }
}

test("as many calls of one identity wait as it may have, in however many sessions", () => {
  const place = new Place();

  place.fill("ann", 256);

  expect(place.givenUp).toEqual([]);
});

test("one more gives up the oldest of that identity and of nobody else", () => {
  const place = new Place();
  place.park("bob's", "bob", "bob");
  place.fill("ann", 256);

  place.park("one more", "ann at last", "ann");

  expect(place.givenUp).toEqual(["ann 0"]);
});

test("however many sessions one identity has, there is room for another", () => {
  const place = new Place();
  place.park("bob's", "bob", "bob");

  place.fill("ann", 2_000);

  expect(place.givenUp).toHaveLength(2_000 - 256);
  expect(place.givenUp).not.toContain("bob's");
});

test("clients that are not told apart have room for as many as there is", () => {
  const place = new Place();
  place.fill(undefined, 1_024);
  const before = [...place.givenUp];

  place.park("one more", "another");

  expect(before).toEqual([]);
  expect(place.givenUp).toEqual(["undefined 0"]);
});

test("a call that was taken up again makes room", () => {
  const place = new Place();
  const round = new Round({ sessionKey: "ann", method: "tools/call", subject: "t" }, HOST);
  const handle = place.rounds.park(round, "ann");
  place.fill("ann", 255);

  const taken = place.rounds.take(handle);
  round.abandon("Its client is content");
  place.park("one more", "ann at last", "ann");

  expect(taken).toBe(round);
  expect(place.givenUp).toEqual([]);
});
