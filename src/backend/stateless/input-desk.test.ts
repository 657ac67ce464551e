import { expect, test } from "vitest";
import type { JsonObject } from "../../domain/json.ts";
import { InputDesk, type Question } from "./input-desk.ts";
import { InputRound } from "./input-round.ts";

/** A connection's desk, and all that comes of what is asked at it. */
class Stage {
  /** The ids of what is before the client, in the order in which it was put. */
  readonly put: unknown[] = [];
  readonly cancelled: unknown[] = [];
  /** The calls that have all their answers, or were refused one. */
  readonly ended: string[] = [];
  readonly desk = new InputDesk({
    unsolicited: ({ message }) => void this.cancelled.push(message.params?.["requestId"]),
    lost() {},
  });

  /** A call that asks that many questions. */
  ask(call: string, count: number): InputRound {
    const questions = Array.from({ length: count }, (_value, index): [string, Question] => [
      `${call}${index}`,
      { method: "roots/list", paramsJson: undefined },
    ]);
    const round = new InputRound(this.desk, new Map(questions), {
      askClient: ({ message }) => void this.put.push(message.id),
      answered: (json) => void this.ended.push(`${call} ${json}`),
      refused: ({ message }) => void this.ended.push(`${call} ${message}`),
    });
    round.begin();
    return round;
  }

  answer(index: number, answer: JsonObject = { result: {} }): void {
    const message = { jsonrpc: "2.0", id: this.put[index] ?? null, ...answer };
    this.desk.take(Buffer.from(JSON.stringify(message)));
  }
}

test("a call has four questions before the client, and the next one when one is answered", () => {
  const stage = new Stage();
  stage.ask("a", 5);
  const before = stage.put.length;

  stage.answer(0);

  expect(before).toBe(4);
  expect(stage.put).toHaveLength(5);
  expect(new Set(stage.put).size).toBe(5);
});

test("two calls fill what the client takes, and a third has its turn as they are answered", () => {
  const stage = new Stage();
  for (const call of ["a", "b", "c"]) stage.ask(call, 4);
  const before = stage.put.length;

  stage.answer(0);
  stage.answer(4);

  expect(before).toBe(8);
  expect(stage.put).toHaveLength(10);
});

test("a call with its answers goes on, whatever others wait for", () => {
  const stage = new Stage();
  stage.ask("a", 1);
  stage.ask("b", 4);

  stage.answer(0, { result: { roots: [] } });

  expect(stage.ended).toEqual(['a {"a0":{"roots":[]}}']);
});

test("an answer that comes twice, or to nothing, is dropped", () => {
  const stage = new Stage();
  stage.ask("a", 2);

  stage.answer(0);
  stage.answer(0, { error: { code: 1, message: "no" } });
  stage.answer(7);

  expect(stage.ended).toEqual([]);
});

test("a refused question withdraws the others of its call, and the calls that wait have their turn", () => {
  const stage = new Stage();
  for (const call of ["a", "b", "c"]) stage.ask(call, 4);

  stage.answer(0, { error: { code: 1, message: "no" } });

  expect(stage.ended).toEqual(["a no"]);
  expect(stage.cancelled).toEqual(stage.put.slice(1, 4));
  expect(stage.put).toHaveLength(12);
});

test("what was never before the client is withdrawn without a word to it", () => {
  const stage = new Stage();
  for (const call of ["a", "b"]) stage.ask(call, 4);
  const third = stage.ask("c", 4);

  third.withdraw("The call was cancelled");
  for (let index = 0; index < 8; index += 1) stage.answer(index);

  expect(stage.cancelled).toEqual([]);
  expect(stage.put).toHaveLength(8);
});

test("a desk that is closed puts nothing before the client any more", () => {
  const stage = new Stage();
  const rounds = ["a", "b", "c"].map((call) => stage.ask(call, 4));

  stage.desk.close();
  for (const round of rounds) round.withdraw("The connection is closed");

  expect(stage.put).toHaveLength(8);
  expect(stage.cancelled).toEqual(stage.put);
});
