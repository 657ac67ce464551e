import { expect, test } from "vitest";
import { Canaries } from "./canaries.ts";

test.for<readonly [string, (secret: string) => string]>([
  ["as it is", (secret) => `key=${secret};`],
  ["in base64", (secret) => Buffer.from(secret).toString("base64")],
  ["in base64 after a user's name", (secret) => Buffer.from(`user:${secret}`).toString("base64")],
  ["in base64 after a letter", (secret) => Buffer.from(`x${secret}yz`).toString("base64")],
  ["in hex", (secret) => Buffer.from(secret).toString("hex")],
])("a secret is found %s", ([, write]) => {
  const canaries = new Canaries();
  const secret = canaries.at("header");
  const outputs = new Map([["log", `before ${write(secret)} after`]]);

  expect(canaries.escapedIn(outputs)).toEqual(["header → log"]);
});

test("what is no secret is not found", () => {
  const canaries = new Canaries();
  canaries.at("header");

  expect(canaries.escapedIn(new Map([["log", "CANARY-header- was not logged"]]))).toEqual([]);
});
