import { expect, test } from "vitest";
import { ANONYMOUS } from "../domain/identity.ts";
import { sessionName, toParty } from "./audited-party.ts";

test("a client on the network is named by its address, itself and its session's name", () => {
  const client = { info: { name: "editor", version: "2", token: "x" }, address: "192.0.2.1" };

  const party = toParty({ sessionId: "s", identity: ANONYMOUS, client });

  expect(party).toEqual({
    source: { type: "network", value: "192.0.2.1", extra: { session_id: sessionName("s") } },
    subjects: { user: "anonymous", client_name: "editor", client_version: "2" },
  });
});

test("an identified client is named by subject and issuer", () => {
  const identity = { kind: "verified", issuer: "https://i", subject: "alice" } as const;

  const { source, subjects } = toParty({ identity });

  expect(subjects).toEqual({ user_id: "alice", issuer: "https://i" });
  expect(source).toEqual({ type: "local", value: "process" });
});

test("what a client says of itself is only taken where it is text, and not at any length", () => {
  const client = { info: { name: "x".repeat(5_000), version: { a: 1 } } };

  const { subjects } = toParty({ identity: ANONYMOUS, client });

  expect(subjects).toEqual({ user: "anonymous", client_name: "x".repeat(1_000) });
});

test("the name of a session tells it from others and is not its id", () => {
  expect(sessionName("one")).not.toBe(sessionName("two"));
  expect(sessionName("one")).toMatch(/^[0-9a-f]{16}$/);
});
