import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Identity } from "../../domain/identity.ts";
import { ProofMemory } from "./proof-memory.ts";

const ALICE: Identity = { kind: "verified", issuer: "i", subject: "alice" };

test("a proof is remembered until its time", () => {
  let nowMs = 1_000;
  const memory = new ProofMemory(() => nowMs);
  memory.remember("proof", ALICE, 2_000, memory.generation);

  const before = memory.find("proof");
  nowMs = 2_000;
  const after = memory.find("proof");

  expect([before, after]).toEqual([ALICE, undefined]);
  expect(memory.size).toBe(0);
});

test("no other proof is taken for one that is remembered", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (known, asked) => {
      const memory = new ProofMemory();
      memory.remember(known, ALICE, Number.POSITIVE_INFINITY, memory.generation);

      expect(memory.find(asked)).toBe(asked === known ? ALICE : undefined);
    }),
  );
});

test("beyond its bound, what came first is forgotten", () => {
  const memory = new ProofMemory(() => 0, 2);

  for (const proof of ["a", "b", "a", "c"]) memory.remember(proof, ALICE, 1, memory.generation);

  expect(["a", "b", "c"].map((proof) => memory.find(proof))).toEqual([ALICE, undefined, ALICE]);
});

test("what was verified by keys that have changed meanwhile is not remembered", () => {
  const memory = new ProofMemory(() => 0);
  const { generation } = memory;

  memory.clear();
  memory.remember("proof", ALICE, 1, generation);

  expect(memory.find("proof")).toBeUndefined();
});

test("what is over already is not remembered", () => {
  const memory = new ProofMemory(() => 10);

  memory.remember("proof", ALICE, 10, memory.generation);

  expect(memory.size).toBe(0);
});
